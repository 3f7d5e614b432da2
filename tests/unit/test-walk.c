/* Walking a file system: alone and by several threads at once the same files are found, a folder before what it holds, and what
 * fails ends the walk with its own error. */
#include "backup/walk.h"
#include "base/fs.h"
#include "base/str.h"
#include "tap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

static struct error e;

static void make_folder(const char *path)
{
	CHECK_INT(mkdir(path, 0755), 0);
}

static void make_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);

	CHECK(fd >= 0);
	CHECK_INT(close(fd), 0);
}

/* Wide and deep: 1 + 20 * (1 + 5 * (1 + 20)) + 1 + 300 + 1 = 2423 files and folders with the root. */
enum { all = 2423 };
static struct set_source make_tree(char *folder)
{
	_cleanup_(strbuf) struct strbuf deep = { 0 };
	struct stat st;

	CHECK(mkdtemp(folder) != NULL);
	for (int i = 0; i < 20; i++) {
		_cleanup_(free) char *one = xasprintf("%s/%d", folder, i);

		make_folder(one);
		for (int j = 0; j < 5; j++) {
			_cleanup_(free) char *two = xasprintf("%s/%d", one, j);

			make_folder(two);
			for (int k = 0; k < 20; k++) {
				_cleanup_(free) char *file = xasprintf("%s/file %d", two, k);

				make_file(file);
			}
		}
	}
	strbuf_puts(&deep, folder);
	for (int i = 0; i < 301; i++) {
		strbuf_puts(&deep, "/deep");
		make_folder(deep.data);
	}
	strbuf_puts(&deep, "/end");
	make_file(deep.data);
	CHECK_INT(stat(folder, &st), 0);
	return (struct set_source) { .folder = folder, .shown = "/shown", .device = st.st_dev };
}

struct seen {
	pthread_mutex_t lock;
	struct strlist paths; /* in the order of the walk */
	const char *skip, *bad; /* is not gone into; fails */
	size_t after; /* were seen after that failure */
	bool failed;
};

static int see(void *user, const struct walked *file, struct error *why)
{
	struct seen *s = user;
	struct stat st;

	CHECK_INT(fstatat(file->dirfd, file->name, &st, AT_SYMLINK_NOFOLLOW), 0);
	CHECK_INT(st.st_ino, file->st.st_ino);
	(void)pthread_mutex_lock(&s->lock);
	s->after += s->failed;
	strlist_add(&s->paths, file->path);
	bool skip = s->skip && streq(file->path, s->skip), bad = s->bad && streq(file->path, s->bad);

	s->failed = s->failed || bad;
	(void)pthread_mutex_unlock(&s->lock);
	return bad ? error_text(why, EBADMSG, "that one is bad") : skip;
}

static void check_parents_first(const struct seen *s)
{
	_cleanup_(strlist) struct strlist folders = { 0 };

	CHECK_STR(s->paths.items[0], ".");
	for (size_t i = 1; i < s->paths.count; i++) {
		const char *path = s->paths.items[i], *name = strrchr(path, '/');
		_cleanup_(free) char *parent = name ? xstrndup(path, (size_t)(name - path)) : NULL;

		CHECK(!parent || strlist_has(&folders, parent));
		if (!strstr(path, "file"))
			strlist_add(&folders, path);
	}
}

static size_t open_files(void)
{
	size_t count = 0;
	DIR *d = opendir("/proc/self/fd");

	CHECK(d != NULL);
	while (readdir(d))
		count++;
	(void)closedir(d);
	return count;
}

TEST(several_find_what_one_finds)
{
	char folder[] = "/tmp/walk.XXXXXX";
	struct set_source source = make_tree(folder);
	struct seen alone = { .lock = PTHREAD_MUTEX_INITIALIZER };
	size_t open_before = open_files();

	CHECK_OK(walk_filesystem(&source, see, &alone, &e));
	CHECK_INT(alone.paths.count, all);
	check_parents_first(&alone);
	strlist_sort(&alone.paths);
	for (int round = 0; round < 20; round++) {
		struct seen together = { .lock = PTHREAD_MUTEX_INITIALIZER };

		CHECK_OK(walk_filesystem_together(&source, see, &together, &e));
		check_parents_first(&together);
		strlist_sort(&together.paths);
		CHECK_INT(together.paths.count, alone.paths.count);
		for (size_t i = 0; i < alone.paths.count; i++)
			CHECK_STR(together.paths.items[i], alone.paths.items[i]);
		strlist_free(&together.paths);
	}
	CHECK_INT(open_files(), open_before);
	strlist_free(&alone.paths);
	CHECK_OK(remove_tree_at(AT_FDCWD, folder, &e));
}

TEST(a_folder_that_is_not_wanted_is_not_gone_into)
{
	char folder[] = "/tmp/walk.XXXXXX";
	struct set_source source = make_tree(folder);
	struct seen s = { .lock = PTHREAD_MUTEX_INITIALIZER, .skip = "7" };

	CHECK_OK(walk_filesystem_together(&source, see, &s, &e));
	CHECK_INT(s.paths.count, all - 5 * 21);
	strlist_free(&s.paths);
	CHECK_OK(remove_tree_at(AT_FDCWD, folder, &e));
}

TEST(the_first_failure_ends_it)
{
	char folder[] = "/tmp/walk.XXXXXX";
	struct set_source source = make_tree(folder);
	size_t open_before = open_files(), after = 0;

	for (int round = 0; round < 50; round++) {
		_cleanup_(free) char *bad = xasprintf("%d/%d/file %d", round % 20, round % 5, round % 20);
		struct seen s = { .lock = PTHREAD_MUTEX_INITIALIZER, .bad = bad };

		CHECK_INT(walk_filesystem_together(&source, see, &s, &e), -EBADMSG);
		CHECK_STR(e.text, "that one is bad");
		after += s.after;
		strlist_free(&s.paths);
	}
	CHECK(after < 10 * (size_t)all); /* were it to go on, 25 times as many */
	CHECK_INT(open_files(), open_before);
	CHECK_OK(remove_tree_at(AT_FDCWD, folder, &e));
}

TEST(another_file_system_at_the_folder_is_refused)
{
	struct set_source source = { .folder = "/tmp", .shown = "/srv", .device = 1 };
	struct seen s = { .lock = PTHREAD_MUTEX_INITIALIZER };

	CHECK_INT(walk_filesystem_together(&source, see, &s, &e), -ESTALE);
	CHECK_STR(e.text, "/srv: it is not the file system that the survey found there");
	CHECK_INT(s.paths.count, 0);
}

TAP_MAIN()
