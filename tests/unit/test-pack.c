/* What becomes of a tree: bytes that depend on it alone, and one line where a file or the disk fails. */
#include "image/pack.h"
#include "image/share.h"
#include "base/fs.h"
#include "base/proc.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/stat.h>

static struct error e;
static struct report quiet;

enum { large = 8 << 20 }; /* more than a pipe holds and than is read at once */

/* A folder with one large file in it, which is all that the tree has. */
struct bench {
	struct tempdir dir;
	struct tree tree;
	char *path;
};

static void bench_free(struct bench *b)
{
	tree_free(&b->tree);
	tempdir_remove(&b->dir);
	free(b->path);
}
DEFINE_CLEANUP(bench, struct bench, bench_free)

static void bench_make(struct bench *b)
{
	_cleanup_(free) char *text = xmalloc(large);

	for (size_t i = 0; i < large; i++)
		text[i] = (char)(i * 2654435761U >> 24);
	CHECK_OK(tempdir_make(&b->dir, &e));
	CHECK_OK(write_file_at(b->dir.fd, "large", 0644, text, large, &e));
	b->path = xasprintf("%s/large", b->dir.path);
	CHECK_OK(tree_add_file(&b->tree, "a/large", 0644, b->path, large, NULL, &e));
	tree_sort(&b->tree);
}

static int pack(struct bench *b, const char *compress, int fd)
{
	const struct pack_options options = { compress, 0, 1 };
	struct pack_totals totals;

	return pack_tree(&b->tree, &options, fd, "out", &totals, &quiet, &e);
}

static char *packed(struct bench *b, size_t *ret_len)
{
	char *text;

	CHECK_OK(write_file_at(b->dir.fd, "out", 0644, "", 0, &e));
	_cleanup_(fd) int fd = openat(b->dir.fd, "out", O_RDWR);

	CHECK_OK(pack(b, "zstd", fd));
	CHECK_OK(read_file_at(b->dir.fd, "out", 1 << 28, &text, ret_len, &e));
	return text;
}

TEST(the_number_of_processors_does_not_show_in_the_bytes)
{
	_cleanup_(bench) struct bench b = { 0 };
	size_t len_all, len_one;
	cpu_set_t one;

	bench_make(&b);
	_cleanup_(free) char *with_all = packed(&b, &len_all);

	CHECK_INT(sched_getaffinity(0, sizeof(one), &one), 0);
	for (int i = 0, kept = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &one) && kept++)
			CPU_CLR(i, &one);
	CHECK_INT(sched_setaffinity(0, sizeof(one), &one), 0);
	_cleanup_(free) char *with_one = packed(&b, &len_one);

	CHECK_INT(len_one, len_all);
	CHECK(memcmp(with_one, with_all, len_all) == 0);
}

/* What happens to the file while it is packed: the packer stands in the middle of it, because nobody has taken
 * what it writes into the pipe yet. */
struct meddler {
	const char *path;
	void (*meddle)(const char *path);
	int fd;
};

static void *meddle(void *user)
{
	struct meddler *m = user;
	static char buf[1 << 16];
	bool done = false;

	while (read_full(m->fd, buf, sizeof(buf)) > 0)
		if (!done) {
			m->meddle(m->path);
			done = true;
		}
	return NULL;
}

static int pack_meddled(struct bench *b, void (*what)(const char *path))
{
	pthread_t thread;
	int ends[2];

	bench_make(b);
	struct meddler m = { b->path, what, -1 };

	CHECK_INT(pipe2(ends, O_CLOEXEC), 0);
	m.fd = ends[0];
	CHECK_INT(pthread_create(&thread, NULL, meddle, &m), 0);
	int r = pack(b, "none", ends[1]);

	(void)close(ends[1]);
	(void)pthread_join(thread, NULL);
	(void)close(ends[0]);
	return r;
}

static void cut(const char *path)
{
	CHECK_INT(truncate(path, large / 2), 0);
}

TEST(a_file_that_shrinks_is_told)
{
	_cleanup_(bench) struct bench b = { 0 };
	int r = pack_meddled(&b, cut);
	_cleanup_(free) char *want = xasprintf("read %s: it became shorter while it was packed", b.path);

	CHECK_ERROR(r, want);
}

static void change(const char *path)
{
	_cleanup_(fd) int fd = open(path, O_WRONLY);

	CHECK_INT(pwrite_all(fd, "other", 5, large - 5), 0);
}

TEST(a_file_that_changes_is_told)
{
	_cleanup_(bench) struct bench b = { 0 };
	int r = pack_meddled(&b, change);
	_cleanup_(free) char *want = xasprintf("pack %s: it changed while it was packed", b.path);

	CHECK_ERROR(r, want);
}

TEST(a_file_that_is_not_there_any_more_is_told)
{
	_cleanup_(bench) struct bench b = { 0 };

	bench_make(&b);
	_cleanup_(fd) int null = open("/dev/null", O_WRONLY);
	_cleanup_(free) char *want = xasprintf("pack %s: No such file or directory", b.path);

	CHECK_INT(unlink(b.path), 0);
	CHECK_ERROR(pack(&b, "zstd", null), want);
}

TEST(a_full_disk_is_told)
{
	_cleanup_(bench) struct bench b = { 0 };

	bench_make(&b);
	_cleanup_(fd) int full = open("/dev/full", O_WRONLY);

	CHECK_ERROR(pack(&b, "zstd", full), "write out: No space left on device");
}

/* Whoever unpacks it makes links of them again, and each name has the content. */
TEST(shared_files_become_hard_links)
{
	static const char *const readers[][6] = { { "bsdtar", "-x", "-f", "../out" },
						  { "cpio", "-i", "--quiet" },
						  { "busybox", "cpio", "-i" } };
	_cleanup_(tempdir) struct tempdir dir = TEMPDIR_NONE;
	_cleanup_(tree) struct tree t = { 0 };
	static const char *const names[] = { "usr/a", "usr/b", "usr/c" };
	const struct pack_options options = { "none", 0, 1 };
	struct pack_totals totals;

	CHECK_OK(tempdir_make(&dir, &e));
	for (size_t i = 0; i < 3; i++)
		CHECK_OK(tree_add_data(&t, names[i], 0644, "one content", 11, NULL, &e));
	tree_sort(&t);
	CHECK_OK(tree_share_duplicates(&t, &e));
	_cleanup_(fd) int out = openat(dir.fd, "out", O_RDWR | O_CREAT | O_CLOEXEC, 0644);

	CHECK_OK(pack_tree(&t, &options, out, "out", &totals, &quiet, &e));
	CHECK_INT(totals.content, 11);
	for (size_t i = 0; i < sizeof(readers) / sizeof(*readers); i++) {
		_cleanup_(free) char *folder = xasprintf("%s/%zu", dir.path, i);
		const struct proc_options here = { .cwd = folder, .stdin_fd = out };
		struct stat first, st;

		CHECK(mkdir(folder, 0700) == 0 && lseek(out, 0, SEEK_SET) == 0);
		CHECK_OK(proc_run(readers[i], &here, &e));
		for (size_t k = 0; k < 3; k++) {
			_cleanup_(free) char *path = xasprintf("%s/%s", folder, names[k]);
			_cleanup_(free) char *text = NULL;

			CHECK_OK(read_file_at(AT_FDCWD, path, 100, &text, NULL, &e));
			CHECK_STR(text, "one content");
			CHECK(stat(path, &st) == 0);
			if (k == 0)
				first = st;
			CHECK_INT(st.st_ino, first.st_ino);
			CHECK_INT(st.st_nlink, 3);
		}
	}
}

TAP_MAIN()
