/* Files and temporary folders of runs that are killed: nothing stays, or the next run takes it away. */
#include "base/fs.h"
#include "base/str.h"
#include "tap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>

static struct error e;

/* The names in a folder, sorted, with a space between. */
static char *names_in(const char *path)
{
	_cleanup_(strlist) struct strlist names = { 0 };
	DIR *d = opendir(path);

	CHECK(d != NULL);
	for (const struct dirent *entry; (entry = readdir(d));)
		if (!streq(entry->d_name, ".") && !streq(entry->d_name, ".."))
			strlist_add(&names, entry->d_name);
	(void)closedir(d);
	strlist_sort(&names);
	return strlist_join(&names, " ");
}

/* Whoever runs the tests may ignore them: nohup, a shell's &. */
static void heed_signals(void)
{
	(void)signal(SIGINT, SIG_DFL); /* valid numbers cannot fail */
	(void)signal(SIGTERM, SIG_DFL);
	(void)signal(SIGHUP, SIG_DFL);
}

/* The child works in `folder` and ends by its own signal, which the parent sees. */
static void killed_in(const char *folder, void (*work)(void), int number)
{
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		CHECK_INT(chdir(folder), 0);
		work();
		(void)raise(number);
		_exit(0);
	}
	CHECK_INT(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status));
	CHECK_INT(WTERMSIG(status), number);
}

static void write_half(void)
{
	static struct outfile f;

	CHECK_OK(outfile_open(AT_FDCWD, "goal", 0644, &f, &e));
	CHECK_INT(write_all(f.fd, "half", 4), 0);
}

/* Without /proc a file cannot be given a name later, so it has one from the start, as on FAT. */
static void write_half_named(void)
{
	if (geteuid() != 0)
		CHECK_INT(unshare(CLONE_NEWUSER), 0);
	CHECK_INT(chroot("."), 0);
	CHECK_INT(setenv("TMPDIR", "/", 1), 0);
	write_half();
}

TEST(a_killed_writer_leaves_nothing)
{
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;

	CHECK_OK(tempdir_make(&t, &e));
	killed_in(t.path, write_half, SIGKILL);
	_cleanup_(free) char *names = names_in(t.path);

	CHECK_STR(names, "");
}

TEST(what_is_there_stays_until_the_new_one_is_whole)
{
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;
	_cleanup_(free) char *text = NULL, *text2 = NULL;

	CHECK_OK(tempdir_make(&t, &e));
	CHECK_OK(write_file_at(t.fd, "goal", 0644, "old", 3, &e));
	killed_in(t.path, write_half, SIGKILL);
	CHECK_OK(read_file_at(t.fd, "goal", 100, &text, NULL, &e));
	CHECK_STR(text, "old");
	CHECK_OK(write_file_at(t.fd, "goal", 0600, "new", 3, &e));
	CHECK_OK(read_file_at(t.fd, "goal", 100, &text2, NULL, &e));
	CHECK_STR(text2, "new");
	_cleanup_(free) char *names = names_in(t.path);

	CHECK_STR(names, "goal");
}

TEST(files_that_belong_together_come_together)
{
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;
	struct outfile files[2] = { OUTFILE_NONE, OUTFILE_NONE };
	_cleanup_(free) char *one = NULL, *two = NULL;

	CHECK_OK(tempdir_make(&t, &e));
	CHECK_OK(write_file_at(t.fd, "two", 0644, "old", 3, &e));
	CHECK_OK(outfile_open(t.fd, "one", 0644, &files[0], &e));
	CHECK_OK(outfile_open(t.fd, "two", 0644, &files[1], &e));
	CHECK_INT(write_all(files[0].fd, "new", 3), 0);
	CHECK_INT(write_all(files[1].fd, "new", 3), 0);
	CHECK_OK(outfile_commit_all(files, 2, &e));
	outfile_abort(&files[0]);
	outfile_abort(&files[1]);
	CHECK_OK(read_file_at(t.fd, "one", 100, &one, NULL, &e));
	CHECK_OK(read_file_at(t.fd, "two", 100, &two, NULL, &e));
	CHECK_STR(one, "new");
	CHECK_STR(two, "new");
	_cleanup_(free) char *names = names_in(t.path);

	CHECK_STR(names, "one two");
}

TEST(a_signal_takes_the_named_one_away)
{
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;

	heed_signals();
	CHECK_OK(tempdir_make(&t, &e));
	killed_in(t.path, write_half_named, SIGTERM);
	_cleanup_(free) char *names = names_in(t.path);

	CHECK_STR(names, "");
}

TEST(the_next_run_takes_away_what_a_killed_one_left)
{
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;

	CHECK_OK(tempdir_make(&t, &e));
	killed_in(t.path, write_half_named, SIGKILL);
	_cleanup_(free) char *left = names_in(t.path);

	CHECK(str_after(left, ".goal.") != NULL);
	/* neither those of a program that runs, nor what only looks alike */
	_cleanup_(free) char *ours = xasprintf(".goal.%d-0.tmp", (int)getpid());

	CHECK_OK(write_file_at(t.fd, ours, 0644, "", 0, &e));
	CHECK_OK(write_file_at(t.fd, ".goal.999999999-x.tmp", 0644, "", 0, &e));
	CHECK_OK(write_file_at(t.fd, "goal", 0644, "", 0, &e));
	_cleanup_(free) char *names = names_in(t.path);
	_cleanup_(free) char *want = xasprintf("%s .goal.999999999-x.tmp goal", ours);
	_cleanup_(free) char *turned = xasprintf(".goal.999999999-x.tmp %s goal", ours);

	CHECK(streq(names, want) || streq(names, turned));
}

static void fill_tempdir(void)
{
	static struct tempdir t;

	CHECK_INT(setenv("TMPDIR", ".", 1), 0);
	CHECK_OK(tempdir_make(&t, &e));
	CHECK_OK(mkdir_parents_at(t.fd, "a/b", 0755, &e));
	CHECK_OK(write_file_at(t.fd, "a/b/file", 0644, "x", 1, &e));
}

TEST(a_signal_takes_the_temporary_folder_away)
{
	static const int ending[] = { SIGINT, SIGTERM, SIGHUP };
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;

	heed_signals();
	CHECK_OK(tempdir_make(&t, &e));
	for (size_t i = 0; i < sizeof(ending) / sizeof(*ending); i++) {
		killed_in(t.path, fill_tempdir, ending[i]);
		_cleanup_(free) char *names = names_in(t.path);

		CHECK_STR(names, "");
	}
}

TEST(the_next_run_takes_away_the_temporary_folder_of_a_killed_one)
{
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;
	_cleanup_(tempdir) struct tempdir first = TEMPDIR_NONE, second = TEMPDIR_NONE;

	CHECK_OK(tempdir_make(&t, &e));
	CHECK_INT(setenv("TMPDIR", t.path, 1), 0);
	CHECK_OK(tempdir_make(&first, &e));
	CHECK_INT(mkdirat(t.fd, "lifeboat.mine", 0755), 0);
	killed_in(t.path, fill_tempdir, SIGKILL);
	{
		_cleanup_(free) char *names = names_in(t.path);

		CHECK_INT(strlen(names), strlen("lifeboat.mine") + 2 * strlen(" lifeboat.tmp.XXXXXX"));
	}
	CHECK_OK(tempdir_make(&second, &e));
	_cleanup_(free) char *names = names_in(t.path);

	CHECK_INT(strlen(names), strlen("lifeboat.mine") + 2 * strlen(" lifeboat.tmp.XXXXXX"));
	CHECK(strstr(names, strrchr(first.path, '/') + 1) != NULL);
	CHECK(strstr(names, strrchr(second.path, '/') + 1) != NULL);
}

TEST(no_room_is_told_with_the_numbers)
{
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;
	_cleanup_(outfile) struct outfile f = OUTFILE_NONE;

	CHECK_OK(tempdir_make(&t, &e));
	CHECK_OK(outfile_open(t.fd, "goal", 0644, &f, &e));
	CHECK_OK(outfile_check_space(&f, "rescue.img", 1, &e));
	CHECK_INT(outfile_check_space(&f, "rescue.img", 1ULL << 50, &e), -ENOSPC);
	CHECK(str_after(e.text, "make rescue.img: it needs 1.0 PiB and its folder has ") != NULL);
	CHECK(strstr(e.text, " free") != NULL);
}

TAP_MAIN()
