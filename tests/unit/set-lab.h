/* Backup sets in folders, for tests. */
#pragma once
#include "backup/set_private.h"
#include "base/fs.h"
#include "base/proc.h"
#include "sample.h"
#include "tap.h"

#include <signal.h>
#include <sys/stat.h>

static _Thread_local struct error e;
static struct report quiet;

/* A folder for all that a test needs, and a target in it. */
struct place {
	struct tempdir dir;
	struct target target;
	char *from, *to; /* folders in it: what is saved, and where it is restored */
};
#define PLACE                                                 \
	{                                                     \
		.dir = TEMPDIR_NONE, .target = {.dirfd = -1 } \
	}

static inline void place_remove(struct place *p)
{
	target_close(&p->target);
	tempdir_remove(&p->dir);
	free(p->from);
	free(p->to);
}
DEFINE_CLEANUP(place, struct place, place_remove)

static inline void run_in(const char *folder, const char *script)
{
	const char *argv[] = { "sh", "-euc", script, NULL };
	const struct proc_options o = { .cwd = folder };

	CHECK_OK(proc_run(argv, &o, &e));
}

static inline void run(const struct place *p, const char *script)
{
	run_in(p->dir.path, script);
}

static inline void open_target(const struct place *p, const char *name, struct target *ret)
{
	_cleanup_(free) char *url = xasprintf("file://%s%s%s", p->dir.path, *name ? "/" : "", name);

	CHECK_OK(target_open(url, NULL, ret, &quiet, &e));
}

/* `script` makes what is in it: the folder `target`, "" being itself, and "from" and "to" as far as they are needed. */
static inline void place_make(struct place *p, const char *target, const char *script)
{
	*p = (struct place)PLACE;
	(void)signal(SIGPIPE, SIG_IGN); /* as the program does */
	report_init(&quiet, VERBOSITY_QUIET, false);
	CHECK_OK(tempdir_make(&p->dir, &e));
	p->from = xasprintf("%s/from", p->dir.path);
	p->to = xasprintf("%s/to", p->dir.path);
	if (*script)
		run(p, script);
	open_target(p, target, &p->target);
}

/* Saves "from" as the archive root of a set of the host box. The name of the set; the
 * caller frees. */
static inline char *save_from(struct place *p, unsigned level, uint64_t chunk)
{
	_cleanup_(set_writer) struct set_writer *w = NULL;
	struct stat st;
	char *name = NULL;

	CHECK_INT(stat(p->from, &st), 0);
	const struct set_source source = { .folder = p->from, .device = st.st_dev };

	CHECK_OK(set_begin(&p->target, "box", level, chunk, &w, &quiet, &e));
	CHECK_OK(set_add_file(w, "machine.conf", "[machine]\n", 10, &e));
	CHECK_OK(set_save_filesystem(w, "root", "archive", &source, &quiet, &e));
	CHECK_OK(set_add_file(w, "RECOVER.txt", "by hand\n", 8, &e));
	CHECK_OK(set_commit(w, &name, &e));
	return name;
}

/* ---- sets of streams that are no file systems ---- */

enum { chunk = 64 << 10 };

static inline char *write_set(struct place *p, size_t len)
{
	_cleanup_(set_writer) struct set_writer *w = NULL;
	_cleanup_(fd) int root = sample(len, 1);
	_cleanup_(fd) int home = sample(len / 3, 2);
	char *name = NULL;

	CHECK_OK(set_begin(&p->target, "box", 0, chunk, &w, &quiet, &e));
	CHECK_OK(set_add_file(w, "machine.conf", "[machine]\n", 10, &e));
	CHECK_OK(set_add_stream(w, "root", "dump", root, 0, &quiet, &e));
	CHECK_OK(set_add_stream(w, "home", "dump", home, 0, &quiet, &e));
	CHECK_OK(set_add_file(w, "RECOVER.txt", "by hand\n", 8, &e));
	CHECK_OK(set_commit(w, &name, &e));
	return name;
}

static inline void same_files(int a, int b)
{
	char x[DIGEST_HEX_SIZE], y[DIGEST_HEX_SIZE];

	CHECK(lseek(a, 0, SEEK_SET) == 0 && lseek(b, 0, SEEK_SET) == 0);
	CHECK_OK(digest_fd(a, "a", x, NULL, &e));
	CHECK_OK(digest_fd(b, "b", y, NULL, &e));
	CHECK_STR(x, y);
}

static inline int verify(struct place *p)
{
	_cleanup_(set) struct set *s = NULL;
	int r = set_open(&p->target, NULL, NULL, &s, &quiet, &e);

	return r < 0 ? r : set_verify(s, &quiet, &e);
}

/* 0 when the stream of the newest set could be read to its end. */
static inline int read_back(struct place *p, const char *name, int out)
{
	_cleanup_(set) struct set *s = NULL;
	int r = set_open(&p->target, "box", NULL, &s, &quiet, &e);

	return r < 0 ? r : set_read_stream(s, name, "dump", out, &quiet, &e);
}
