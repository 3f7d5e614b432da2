/* Children: their folder, their time limit, their status. */
#include "tap.h"

#include "base/fs.h"
#include "base/proc.h"

#include <errno.h>
#include <sched.h>
#include <sys/stat.h>

TEST(a_folded_reason_is_told_whole)
{
	const char *argv[] = { "sh", "-c", "printf 'greeting\\nno:\\n\\ttoo big\\n  by far\\n' >&2; exit 1",
			       NULL };

	struct error e = { 0 };

	CHECK(proc_run(argv, NULL, &e) < 0);
	CHECK(strstr(e.text, "exit status 1: no:"));
	CHECK(strstr(e.text, "too big") && strstr(e.text, "by far") && !strchr(e.text, '\n'));
}

TEST(cwd_is_the_childs_only)
{
	struct error e = { 0 };
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;
	_cleanup_(free) char *out = NULL, *before = getcwd(NULL, 0), *after = NULL;
	const char *argv[] = { "pwd", NULL };

	CHECK_OK(tempdir_make(&t, &e));
	struct proc_options o = { .cwd = t.path };

	CHECK_OK(proc_capture(argv, &o, &out, &e));
	CHECK_STR(str_strip(out), t.path);
	after = getcwd(NULL, 0);
	CHECK_STR(after, before);
	o.cwd = "/nonexistent";
	CHECK_ERROR(proc_run(argv, &o, &e), "run pwd: No such file or directory");
}

TEST(wait_within_ends_what_hangs)
{
	struct error e = { 0 };
	_cleanup_(proc) struct proc p = PROC_NONE;
	const char *slow[] = { "sleep", "60", NULL }, *quick[] = { "true", NULL }, *bad[] = { "false", NULL };

	CHECK_OK(proc_spawn(slow, NULL, &p, &e));
	pid_t pid = p.pid;

	CHECK_INT(proc_wait_within(&p, 1, &e), -ETIMEDOUT);
	CHECK_STR(e.text, "sleep 60: no answer within 1 seconds");
	CHECK_INT(waitpid(pid, NULL, WNOHANG), -1); /* reaped */
	CHECK_OK(proc_spawn(quick, NULL, &p, &e));
	CHECK_OK(proc_wait_within(&p, 10, &e));
	CHECK_OK(proc_spawn(bad, NULL, &p, &e));
	CHECK_ERROR(proc_wait_within(&p, 10, &e), "false: exit status 1");
}

TEST(the_reason_stands_before_the_usage)
{
	struct error e = { 0 };
	const char *argv[] = { "/bin/sh", "-c", "echo wrong >&2; printf 'Usage: x\\n\\t[-y]\\n' >&2; exit 1",
			       NULL };
	const char *only[] = { "/bin/sh", "-c", "printf 'Usage: x\\n' >&2; exit 2", NULL };

	CHECK(proc_run(argv, NULL, &e) < 0);
	CHECK(strstr(e.text, "exit status 1: wrong") != NULL);
	CHECK(proc_run(only, NULL, &e) < 0);
	CHECK(strstr(e.text, "exit status 2: Usage: x") != NULL);
}

TEST(children_have_no_terminal)
{
	struct error e = { 0 };
	const char *argv[] = { "sh", "-c", "exec </dev/tty", NULL };

	CHECK(proc_run(argv, NULL, &e) < 0);
	CHECK(strstr(e.text, "/dev/tty"));
}

TEST(grandchildren_are_killed_too)
{
	struct error e = { 0 };
	_cleanup_(proc) struct proc p = PROC_NONE;
	const char *argv[] = { "sh", "-c", "sleep 60 & echo $!; wait", NULL };
	char line[32] = "";
	int fds[2];

	CHECK(pipe(fds) == 0);
	struct proc_options o = { .stdout_fd = fds[1] };

	CHECK_OK(proc_spawn(argv, &o, &p, &e));
	close(fds[1]);
	CHECK(read(fds[0], line, sizeof(line) - 1) > 0);
	proc_kill(&p);
	CHECK_INT(read(fds[0], line, 1), 0); /* the last writer of the pipe is gone */
}

/* What grub-install writes in a recovered system is read by others there, whatever this process keeps to itself. */
TEST(inside_another_root_the_umask_is_a_systems_own)
{
	const char *argv[] = { "/bin/sh", "-c", "umask", NULL };
	const struct proc_options o = { .chroot = "/" };
	_cleanup_(free) char *said = NULL;
	struct error e;

	CHECK(geteuid() == 0 || unshare(CLONE_NEWUSER) == 0); /* who may change the root */
	(void)umask(077);
	CHECK_OK(proc_capture(argv, &o, &said, &e));
	CHECK_STR(str_strip(said), "0022");
}

TAP_MAIN()
