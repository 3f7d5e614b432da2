/* Notes on the libraries that a program opens while it runs: what they say, and what is packed for it. */
#include "base/fs.h"
#include "base/proc.h"
#include "image/dlopen_note.h"
#include "image/tools.h"
#include "tap.h"

static struct error e;

TEST(alternatives_and_priorities)
{
	_cleanup_(dlopen_notes) struct dlopen_notes n = { 0 };

	CHECK(dlopen_notes_parse("[{\"soname\":[\"liba.so.2\",\"liba.so.1\"],\"feature\":\"a\","
				 "\"description\":\"Reads a\",\"priority\":\"required\"},"
				 "{\"soname\":[\"libb.so\"],\"priority\":\"suggested\",\"x-own\":1}]",
				 &n));
	CHECK_INT(n.count, 2);
	CHECK_INT(n.list[0].sonames.count, 2);
	CHECK_STR(n.list[0].sonames.items[1], "liba.so.1");
	CHECK_STR(n.list[0].what, "Reads a");
	CHECK_INT(n.list[0].priority, DLOPEN_REQUIRED);
	CHECK_INT(n.list[1].priority, DLOPEN_SUGGESTED);
}

TEST(the_first_form_of_the_format)
{
	_cleanup_(dlopen_notes) struct dlopen_notes n = { 0 };

	CHECK(dlopen_notes_parse("{\"soname\":\"libfoo.so.1\",\"feature\":\"foo\"}", &n));
	CHECK_STR(n.list[0].sonames.items[0], "libfoo.so.1");
	CHECK_STR(n.list[0].what, "foo");
	CHECK_INT(n.list[0].priority, DLOPEN_RECOMMENDED);
}

TEST(what_is_no_such_note)
{
	static const char *const texts[] = {
		"", "null", "[", "[1]", "[{}]", "{\"soname\":[]}", "{\"soname\":[7]}", "{\"soname\":{}}"
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		_cleanup_(dlopen_notes) struct dlopen_notes n = { 0 };

		if (dlopen_notes_parse(texts[i], &n) || n.count)
			TAP_FAIL("'%s' was taken", texts[i]);
	}
}

/* --- a made-up root: one program, and libraries that its notes speak of --- */

struct lab {
	struct tempdir dir;
	struct root root;
	struct tree tree;
	struct report report;
	struct tools tools;
};

static void lab_free(struct lab *lab)
{
	tools_close(&lab->tools);
	tree_free(&lab->tree);
	root_close(&lab->root);
	tempdir_remove(&lab->dir);
}
DEFINE_CLEANUP(lab, struct lab, lab_free)

static void compile(const struct lab *lab, const char *path, const char *text, const char *option)
{
	_cleanup_(free) char *source = xasprintf("%s/source.c", lab->dir.path);
	_cleanup_(free) char *out = xasprintf("%s/%s", lab->dir.path, path);

	CHECK_OK(write_file_at(lab->dir.fd, "source.c", 0644, text, strlen(text), &e));
	CHECK_OK(proc_run(
		(const char *const[]) { "cc", "-nostdlib", "-fPIC", option, "-o", out, source, NULL }, NULL,
		&e));
}

/* A note as SD_ELF_NOTE_DLOPEN() makes it: owner, type, text. */
#define NOTE(text)                                                                       \
	"asm(\".pushsection .note.dlopen,\\\"a\\\",%note\\n.balign 4\\n.long 4, 2f-1f, " \
	"0x407c0c0a\\n.asciz \\\"FDO\\\"\\n1: .asciz \\\"" text "\\\"\\n2: .balign 4\\n" \
	".popsection\");\n"
#define Q "\\\\\\\""
#define ONE(name, priority) "{" Q "soname" Q ":[" name "]," Q "priority" Q ":" Q priority Q "}"

static int add_program(struct lab *lab, const char *notes)
{
	*lab = (struct lab) { .dir = TEMPDIR_NONE, .root = ROOT_NONE };
	_cleanup_(free) char *text = xasprintf("int x;\n%s", notes);

	report_init(&lab->report, VERBOSITY_QUIET, false);
	CHECK_OK(tempdir_make(&lab->dir, &e));
	CHECK_OK(mkdir_parents_at(lab->dir.fd, "usr/lib", 0755, &e));
	CHECK_OK(mkdir_parents_at(lab->dir.fd, "usr/bin", 0755, &e));
	compile(lab, "usr/bin/prog", text, "-Wl,-e,0,--no-dynamic-linker");
	compile(lab, "usr/lib/libold.so.1", "int x;\n", "-shared");
	compile(lab, "usr/lib/libextra.so", "int x;\n", "-shared");
	CHECK_OK(root_open(lab->dir.path, &lab->root, &e));
	CHECK_OK(tools_open(&lab->root, &lab->tree, &lab->report, &lab->tools, &e));
	return tools_add(&lab->tools, "prog", NULL, &e);
}

TEST(the_first_alternative_that_is_there_is_packed)
{
	_cleanup_(lab) struct lab lab;

	CHECK_INT(add_program(&lab, NOTE("[" ONE(Q "libnew.so.2" Q "," Q "libold.so.1" Q, "required") "]")),
		  1);
	CHECK(tree_find(&lab.tree, "usr/lib/libold.so.1"));
	CHECK(!tree_find(&lab.tree, "usr/lib/libextra.so"));
}

TEST(recommended_is_packed_where_it_is_and_suggested_is_not)
{
	_cleanup_(lab) struct lab lab;

	CHECK_INT(add_program(&lab, NOTE("[" ONE(Q "libold.so.1" Q, "suggested") "]")
					    NOTE("[" ONE(Q "libnone.so" Q, "recommended") "," ONE(
						    Q "libextra.so" Q, "recommended") "]")),
		  1);
	CHECK(!tree_find(&lab.tree, "usr/lib/libold.so.1"));
	CHECK(tree_find(&lab.tree, "usr/lib/libextra.so"));
}

TEST(required_and_nowhere_is_an_error)
{
	_cleanup_(lab) struct lab lab;
	int r = add_program(&lab, NOTE("[" ONE(Q "libnew.so.2" Q, "required") "]"));
	_cleanup_(free) char *want = xasprintf(
		"pack %s/usr/bin/prog: it opens libnew.so.2 (not said), which is in no folder of ld.so",
		lab.dir.path);

	CHECK_ERROR(r, want);
}

TAP_MAIN()
