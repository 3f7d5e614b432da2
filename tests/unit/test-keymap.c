#include "image/generate.h"
#include "base/fs.h"
#include "base/proc.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>

static struct error e;
static struct report quiet;

struct place {
	struct tempdir dir;
	struct root root;
};

static void place_free(struct place *p)
{
	root_close(&p->root);
	tempdir_remove(&p->dir);
}
DEFINE_CLEANUP(place, struct place, place_free)

static void program(const struct place *p, const char *name, const char *text)
{
	CHECK_OK(write_file_at(p->dir.fd, name, 0755, text, strlen(text), &e));
}

/* A root with this keyboard file, and programs of our own before all others. */
static void place_make(struct place *p, const char *keyboard)
{
	*p = (struct place) { TEMPDIR_NONE, ROOT_NONE };
	report_init(&quiet, VERBOSITY_QUIET, true);
	CHECK_OK(tempdir_make(&p->dir, &e));
	CHECK_OK(root_open(p->dir.path, &p->root, &e));
	CHECK_OK(mkdir_parents_at(p->dir.fd, "etc/default", 0755, &e));
	CHECK_OK(write_file_at(p->dir.fd, "etc/default/keyboard", 0644, keyboard, strlen(keyboard), &e));
	_cleanup_(free) char *path = xasprintf("%s:%s", p->dir.path, getenv("PATH"));

	CHECK(setenv("PATH", path, 1) == 0);
	program(p, "loadkeys",
		"#!/bin/sh\n{ echo loadkeys \"$@\"; [ -n \"$4\" ] || cat; } >\"${0%/*}/said\"\n"
		"printf bkeymap; head -c 256 /dev/zero\n");
	program(p, "ckbcomp", "#!/bin/sh\necho ckbcomp \"$@\"\n");
}

static void check_said(const struct place *p, const char *want)
{
	_cleanup_(free) char *said = NULL;

	CHECK_OK(read_file_at(p->dir.fd, "said", 4096, &said, NULL, &e));
	CHECK_STR(said, want);
}

TEST(this_machines_layout)
{
	_cleanup_(place) struct place p;
	_cleanup_(strbuf) struct strbuf map = { 0 };

	place_make(
		&p,
		"# c\nXKBMODEL=\"pc105\"\nXKBLAYOUT=\"de,us\"\nXKBVARIANT='nodeadkeys,'\nXKBOPTIONS=\"\"\n");
	CHECK_INT(keymap_make("auto", &p.root, &quiet, &map, &e), 1);
	CHECK_INT(map.len, 7 + 256);
	check_said(&p, "loadkeys -q -u -b\nckbcomp -layout de,us -model pc105 -variant nodeadkeys,\n");
}

TEST(us_needs_none)
{
	_cleanup_(place) struct place p;
	_cleanup_(strbuf) struct strbuf map = { 0 };

	place_make(&p, "XKBLAYOUT=us\nXKBVARIANT=\"\"\n");
	CHECK_INT(keymap_make("auto", &p.root, &quiet, &map, &e), 0);
	CHECK_INT(keymap_make("none", &p.root, &quiet, &map, &e), 0);
	CHECK_INT(map.len, 0);
}

TEST(by_name)
{
	_cleanup_(place) struct place p;
	_cleanup_(strbuf) struct strbuf map = { 0 };

	place_make(&p, "XKBLAYOUT=us\n");
	CHECK_INT(keymap_make("uk", &p.root, &quiet, &map, &e), 1);
	check_said(&p, "loadkeys -q -u -b uk\n");
}

TEST(what_is_no_keymap_is_not_taken)
{
	_cleanup_(place) struct place p;
	_cleanup_(strbuf) struct strbuf map = { 0 };

	place_make(&p, "XKBLAYOUT=fr\n");
	/* one table is announced, none follows */
	program(&p, "loadkeys", "#!/bin/sh\nprintf 'bkeymap\\001'; head -c 255 /dev/zero\n");
	CHECK_ERROR(keymap_make("fr", &p.root, &quiet, &map, &e),
		    "keymap = fr: make a keymap: loadkeys -b gave no binary keymap");
	CHECK_INT(keymap_make("auto", &p.root, &quiet, &map, &e), 0); /* with a warning */
}

/* Also in the words of the real one, where there is one. */
TEST(the_real_loadkeys)
{
	_cleanup_(place) struct place p;
	_cleanup_(strbuf) struct strbuf map = { 0 };

	place_make(&p, "XKBLAYOUT=de\n");
	CHECK(unlinkat(p.dir.fd, "loadkeys", 0) == 0);
	program(&p, "ckbcomp", "#!/bin/sh\nprintf 'keymaps 0-1\\nkeycode 26 = U+00fc U+00dc\\n'\n");
	_cleanup_(free) char *real = proc_find_program("loadkeys");

	if (!real)
		return;
	CHECK_INT(keymap_make("auto", &p.root, &quiet, &map, &e), 1);
	CHECK_INT(map.len, 7 + 256 + 2 * 256);
	CHECK_INT((unsigned char)map.data[7 + 256 + 2 * 26], 0xfc);
}

TAP_MAIN()
