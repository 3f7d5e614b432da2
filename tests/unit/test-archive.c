/* A folder through a set and back by the method archive, without root: what needs it is in the guest tests. */
#include "set-lab.h"

#include <fcntl.h>

static const char folders[] = "mkdir -p from/folder sets; mkdir -m 700 to";

static int save_without(struct place *p, dev_t device, unsigned level, const struct strlist *exclude)
{
	_cleanup_(set_writer) struct set_writer *w = NULL;
	_cleanup_(free) char *name = NULL;

	CHECK_OK(set_begin(&p->target, "box", level, 1 << 20, &w, &quiet, &e));
	CHECK_OK(set_add_file(w, "machine.conf", "x", 1, &e));
	const struct set_source source = { .folder = p->from, .device = device, .exclude = exclude };
	int r = set_save_filesystem(w, "root", "archive", &source, &quiet, &e);

	return r < 0 ? r : set_commit(w, &name, &e);
}

static int save(struct place *p, dev_t device)
{
	return save_without(p, device, 0, NULL);
}

static int restore(struct place *p)
{
	_cleanup_(set) struct set *s = NULL;

	CHECK_OK(set_open(&p->target, "box", NULL, &s, &quiet, &e));
	return set_restore_stream(s, "root", "archive", p->to, &quiet, &e);
}

static struct stat stat_of(const struct place *p, const char *path)
{
	struct stat st;

	CHECK_INT(fstatat(p->dir.fd, path, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st;
}

static void check_same(const struct place *p, const char *path)
{
	_cleanup_(free) char *a = xasprintf("from/%s", path), *b = xasprintf("to/%s", path);
	struct stat x = stat_of(p, a), y = stat_of(p, b);

	CHECK_INT(y.st_mode, x.st_mode);
	CHECK_INT(y.st_size, S_ISDIR(x.st_mode) ? y.st_size : x.st_size);
	CHECK_INT(y.st_mtim.tv_sec, x.st_mtim.tv_sec);
	CHECK_INT(y.st_mtim.tv_nsec, x.st_mtim.tv_nsec);
}

static void set_time(const struct place *p, const char *path, time_t seconds, long nanoseconds)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { seconds, nanoseconds } };

	CHECK_INT(utimensat(p->dir.fd, path, times, AT_SYMLINK_NOFOLLOW), 0);
}

TEST(what_is_saved_comes_back)
{
	_cleanup_(place) struct place p;
	char odd[256] = "from/folder/new\nline \xe4";

	place_make(&p, "sets", folders);
	CHECK_OK(write_file_at(p.dir.fd, odd, 0640, "x", 1, &e));
	CHECK_OK(write_file_at(p.dir.fd, "from/hole", 0604, "end", 3, &e));
	CHECK_INT(linkat(p.dir.fd, "from/hole", p.dir.fd, "from/folder/link", 0), 0);
	CHECK_INT(symlinkat("nowhere", p.dir.fd, "from/symbolic"), 0);
	_cleanup_(fd) int fd = openat(p.dir.fd, "from/hole", O_WRONLY);

	CHECK_INT(ftruncate(fd, 3 << 20), 0);
	CHECK_INT(pwrite_all(fd, "middle", 6, 1 << 20), 0);
	set_time(&p, "from/hole", 1000000000, 123456789);
	set_time(&p, odd, -5, 500000000); /* which tar programs read differently */
	set_time(&p, "from/symbolic", 4000000000, 1);
	set_time(&p, "from/folder", 7, 7);
	set_time(&p, "from", 8, 8);
	CHECK_OK(save(&p, stat_of(&p, "from").st_dev));
	CHECK_OK(restore(&p));
	check_same(&p, ".");
	check_same(&p, "folder");
	check_same(&p, "hole");
	check_same(&p, "symbolic");
	check_same(&p, odd + strlen("from/"));
	CHECK_INT(stat_of(&p, "to/hole").st_ino, stat_of(&p, "to/folder/link").st_ino);
	CHECK(stat_of(&p, "to/hole").st_blocks * 512 < 2 << 20);
	CHECK_OK(proc_run((const char *const[]) { "cmp", "from/hole", "to/hole", NULL },
			  &(struct proc_options) { .cwd = p.dir.path }, &e));
}

static bool is_there(const struct place *p, const char *path)
{
	return faccessat(p->dir.fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* The newest set: its streams and listings agree, and it names the patterns. */
static void check_set(struct place *p, const char *patterns)
{
	_cleanup_(set) struct set *s = NULL;
	_cleanup_(strlist) struct strlist got = { 0 };

	CHECK_OK(set_open(&p->target, "box", NULL, &s, &quiet, &e));
	CHECK_OK(set_verify(s, &quiet, &e));
	CHECK_OK(set_check_listings(s, true, &quiet, &e));
	set_exclusions(s, &got);
	_cleanup_(free) char *joined = strlist_join(&got, " ");

	CHECK_STR(joined, patterns);
}

TEST(what_is_excluded_is_left_out)
{
	_cleanup_(place) struct place p;
	_cleanup_(strlist) struct strlist exclude = { 0 };

	place_make(&p, "sets", folders);
	CHECK_OK(mkdir_parents_at(p.dir.fd, "from/cache/deep", 0700, &e));
	CHECK_OK(write_file_at(p.dir.fd, "from/cache/deep/x", 0600, "x", 1, &e));
	CHECK_OK(write_file_at(p.dir.fd, "from/folder/a.o", 0600, "linked", 6, &e));
	CHECK_INT(linkat(p.dir.fd, "from/folder/a.o", p.dir.fd, "from/folder/kept", 0), 0);
	CHECK_OK(write_file_at(p.dir.fd, "from/folder/b", 0600, "b", 1, &e));
	set_time(&p, "from/cache", 5, 6);
	strlist_addf(&exclude, "%s/cache", p.from);
	strlist_add(&exclude, "*.o");
	CHECK_OK(save_without(&p, stat_of(&p, "from").st_dev, 0, &exclude));
	_cleanup_(free) char *patterns = strlist_join(&exclude, " ");

	check_set(&p, patterns);
	CHECK_OK(restore(&p));
	check_same(&p, "cache");
	CHECK_INT(stat_of(&p, "to/folder/kept").st_size, 6); /* the other name of a file that is left out */
	CHECK(is_there(&p, "to/folder/b"));
	CHECK(!is_there(&p, "to/folder/a.o"));
	CHECK(!is_there(&p, "to/cache/deep"));
}

/* A set that goes on from one with other patterns: what was there goes, what was not comes. */
TEST(exclusions_change_between_levels)
{
	_cleanup_(place) struct place p;
	_cleanup_(strlist) struct strlist first = { 0 }, second = { 0 };

	place_make(&p, "sets", folders);
	CHECK_OK(write_file_at(p.dir.fd, "from/folder/first", 0600, "1", 1, &e));
	CHECK_OK(mkdir_parents_at(p.dir.fd, "from/second/x", 0700, &e));
	CHECK_OK(write_file_at(p.dir.fd, "from/second/x/y", 0600, "22", 2, &e));
	strlist_add(&first, "folder");
	strlist_add(&second, "second");
	CHECK_OK(save_without(&p, stat_of(&p, "from").st_dev, 0, &first));
	CHECK_OK(save_without(&p, stat_of(&p, "from").st_dev, 1, &second));
	check_set(&p, "second");
	CHECK_OK(restore(&p));
	CHECK_INT(stat_of(&p, "to/folder/first").st_size, 1);
	CHECK(is_there(&p, "to/second"));
	CHECK(!is_there(&p, "to/second/x"));
}

/* Zeros that were written are no hole: somebody reserved their room. */
TEST(zeros_stay_data)
{
	_cleanup_(place) struct place p;
	_cleanup_(free) char *zeros = xcalloc(1, 1 << 20);

	place_make(&p, "sets", folders);
	CHECK_OK(write_file_at(p.dir.fd, "from/zeros", 0604, zeros, 1 << 20, &e));
	CHECK_OK(save(&p, stat_of(&p, "from").st_dev));
	CHECK_OK(restore(&p));
	CHECK_INT(stat_of(&p, "to/zeros").st_size, 1 << 20);
	CHECK(stat_of(&p, "to/zeros").st_blocks * 512 >= 1 << 20);
}

TEST(another_file_system_is_not_saved)
{
	_cleanup_(place) struct place p;

	place_make(&p, "sets", folders);
	_cleanup_(free) char *want =
		xasprintf("%s: it is not the file system that the survey found there", p.from);

	CHECK_ERROR(save(&p, stat_of(&p, "from").st_dev + 1), want);
}

/* More than a pipe holds: who stops at the archive's mark breaks the pipe. */
TEST(what_stands_behind_the_end_is_read)
{
	_cleanup_(place) struct place p;
	_cleanup_(set_writer) struct set_writer *w = NULL;
	_cleanup_(free) char *name = NULL;

	place_make(&p, "sets", folders);
	CHECK_OK(write_file_at(p.dir.fd, "from/file", 0644, "x", 1, &e));
	CHECK_OK(proc_run((const char *const[]) { "tar", "-cf", "a.tar", "-C", "from", ".", NULL },
			  &(struct proc_options) { .cwd = p.dir.path }, &e));
	_cleanup_(fd) int fd = openat(p.dir.fd, "a.tar", O_RDWR);

	CHECK_INT(ftruncate(fd, 8 << 20), 0);
	CHECK_OK(set_begin(&p.target, "box", 0, 1 << 20, &w, &quiet, &e));
	CHECK_OK(set_add_stream(w, "root", "archive", fd, 0, &quiet, &e));
	CHECK_OK(set_commit(w, &name, &e));
	CHECK_OK(restore(&p));
	CHECK_INT(stat_of(&p, "to/file").st_size, 1);
}

TEST(what_leads_out_of_the_folder_is_refused)
{
	_cleanup_(place) struct place p;
	_cleanup_(set_writer) struct set_writer *w = NULL;
	_cleanup_(free) char *name = NULL;

	place_make(&p, "sets", folders);
	CHECK_OK(write_file_at(p.dir.fd, "victim", 0644, "x", 1, &e));
	CHECK_OK(proc_run(
		(const char *const[]) { "tar", "-cPf", "a.tar", "--transform=s|^|../|", "victim", NULL },
		&(struct proc_options) { .cwd = p.dir.path }, &e));
	CHECK_INT(unlinkat(p.dir.fd, "victim", 0), 0);
	_cleanup_(fd) int fd = openat(p.dir.fd, "a.tar", O_RDONLY);

	CHECK_OK(set_begin(&p.target, "box", 0, 1 << 20, &w, &quiet, &e));
	CHECK_OK(set_add_stream(w, "root", "archive", fd, 0, &quiet, &e));
	CHECK_OK(set_commit(w, &name, &e));
	CHECK(restore(&p) < 0);
	CHECK(faccessat(p.dir.fd, "victim", F_OK, 0) < 0);
}

TAP_MAIN()
