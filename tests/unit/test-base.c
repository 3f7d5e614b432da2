#include "base/digest.h"
#include "base/fs.h"
#include "base/proc.h"
#include "base/report.h"
#include "base/spill.h"
#include "base/str.h"
#include "base/unreadable.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>

static struct error e;

TEST(error_lines)
{
	CHECK_INT(error_errno(&e, ENOSPC, "write %s", "/dev/sdb"), -ENOSPC);
	CHECK_STR(e.text, "write /dev/sdb: No space left on device");
	error_prefix(&e, "set %s", "a");
	CHECK_STR(e.text, "set a: write /dev/sdb: No space left on device");
	CHECK_INT(error_text(NULL, EIO, "nobody listens"), -EIO);
}

/* What does not stay in memory is the same, and at the same place. */
TEST(much_is_kept_in_files)
{
	enum { count = 12000000 };
	_cleanup_(spill) struct spill numbers = { 0 }, texts = { 0 };
	uint64_t *first = spill_more(&numbers, sizeof(*first));
	const char *text = spill_put(&texts, "a text", 7);
	size_t wrong = 0;

	*first = 0;
	for (uint64_t i = 1; i < count; i++) {
		uint64_t *next = spill_more(&numbers, sizeof(*next));

		wrong += *next != 0 || next != first + i;
		*next = i * 2654435761u;
	}
	for (uint64_t i = 0; i < count; i++)
		wrong += first[i] != i * 2654435761u;
	CHECK_INT(wrong, 0);
	CHECK_STR(text, "a text");
	CHECK_INT(numbers.used, count * sizeof(*first));
	memset(spill_more(&texts, 100 << 20), 'x', 100 << 20);
	CHECK_STR(text, "a text");
}

/* Looks at the last part of it after its file has lost it, in a child; returns wait's status. */
static int status_without_file(const struct spill *s, int to_stderr)
{
	pid_t pid = fork();
	int status;

	CHECK(pid >= 0);
	if (pid == 0) {
		CHECK_INT(dup2(to_stderr, STDERR_FILENO), STDERR_FILENO);
		CHECK_INT(ftruncate(s->file, 0), 0);
		_exit(((const char *)s->data)[s->used - 1]);
	}
	CHECK_INT(waitpid(pid, &status, 0), pid);
	return status;
}

TEST(a_file_that_cannot_be_read_back_is_told)
{
	_cleanup_(spill) struct spill s = { 0 }, freed = { 0 };
	_cleanup_(fd) int in = -1, out = -1;
	_cleanup_(free) char *line = NULL;
	char said[512] = "";
	struct stat st = { .st_size = 0 };
	int ends[2], status;

	(void)spill_more(&freed, 40 << 20); /* its place is taken by the next */
	spill_free(&freed);
	(void)spill_more(&s, 40 << 20);
	CHECK(!s.has_file || fstat(s.file, &st) == 0);
	if (st.st_size == 0) {
		printf("# %s is in memory, on a network or nearly full: nothing to be read back from there\n",
		       temp_folder());
		return;
	}
	CHECK_INT(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	in = ends[0];
	out = ends[1];
	status = status_without_file(&s, out);
	CHECK(WIFEXITED(status));
	CHECK_INT(WEXITSTATUS(status), 1);
	CHECK(read(in, said, sizeof(said) - 1) > 0);
	line = xasprintf("lifeboat: read back from %s what is known of the files: Input/output error\n",
			 temp_folder());
	CHECK_STR(said, line);
	/* any other is nothing of that */
	unreadable_forget(s.data);
	status = status_without_file(&s, out);
	CHECK(WIFSIGNALED(status));
	CHECK_INT(WTERMSIG(status), SIGBUS);
}

/* On a line of 80 columns a longer one would leave a copy of itself each time. */
TEST(progress_fits_the_terminal)
{
	static const struct {
		size_t columns;
		const char *line;
	} cases[] = {
		{ 200, "verify host/set [###---] 50 %  1 of 2" },
		{ 38, "verify host/set [###---] 50 %  1 of 2" },
		{ 37, "verify host/set 50 %  1 of 2" },
		{ 29, "verify host/set 50 %  1 of 2" },
		{ 28, "verify host/s~ 50 %  1 of 2" },
		{ 21, "verify~ 50 %  1 of 2" },
		{ 20, "50 %  1 of 2" },
		{ 12, "50 %  1 of " },
		{ 0, "" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		_cleanup_(strbuf) struct strbuf b = { 0 };

		report_fit("verify host/set", "###---", "50 %  1 of 2", cases[i].columns, &b);
		CHECK_STR(b.data, cases[i].line);
		CHECK(strlen(b.data) < cases[i].columns || !*cases[i].line);
	}
}

TEST(bytes_in_hexadecimal)
{
	_cleanup_(strbuf) struct strbuf b = { 0 };

	strbuf_hex(&b, (const unsigned char *)"", 0);
	CHECK_STR(b.data, "");
	strbuf_puts(&b, "x");
	strbuf_hex(&b, (const unsigned char *)"\x00\x7f\x80\xff\x1a", 5);
	CHECK_STR(b.data, "x007f80ff1a");
	CHECK_INT(b.len, 11);
}

TEST(error_prefix_of_a_full_text_is_cut_not_overrun)
{
	char long_name[2000];

	memset(long_name, 'x', sizeof(long_name));
	long_name[sizeof(long_name) - 1] = '\0';
	(void)error_text(&e, EIO, "%s", long_name);
	error_prefix(&e, "%s", long_name);
	CHECK(strlen(e.text) < sizeof(e.text));
}

/* Which of warnings, what is done, and details are said. */
TEST(how_much_is_said)
{
	static const struct {
		enum verbosity verbosity;
		const char *said;
	} cases[] = {
		{ VERBOSITY_SILENT, "lifeboat: wrong\n" },
		{ VERBOSITY_QUIET, "lifeboat: warning: careful\nlifeboat: wrong\n" },
		{ VERBOSITY_NORMAL, "lifeboat: warning: careful\nlifeboat: done\nlifeboat: wrong\n" },
		{ VERBOSITY_VERBOSE,
		  "lifeboat: warning: careful\nlifeboat: done\nlifeboat: how\nlifeboat: wrong\n" },
	};

	(void)error_text(&e, EIO, "wrong");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		_cleanup_(fd) int fd = memory_file(&e), screen = dup(STDERR_FILENO);
		struct report report;
		char said[200] = "";

		CHECK(fd >= 0 && screen >= 0 && dup2(fd, STDERR_FILENO) >= 0);
		report_init(&report, cases[i].verbosity, false);
		report_warn(&report, "careful");
		report_info(&report, "done");
		report_debug(&report, "how");
		report_error(&report, &e);
		CHECK(dup2(screen, STDERR_FILENO) >= 0);
		CHECK(pread_full(fd, said, sizeof(said) - 1, 0) > 0);
		CHECK_STR(said, cases[i].said);
	}
}

TEST(sizes)
{
	uint64_t n = 7;
	char buf[SIZE_TEXT_MAX];

	CHECK_INT(parse_size("120M", &n), 0);
	CHECK_INT(n, 120 << 20);
	CHECK_INT(parse_size("1g", &n), 0);
	CHECK_INT(n, 1 << 30);
	CHECK_INT(parse_size("", &n), -EINVAL);
	CHECK_INT(parse_size("-1", &n), -EINVAL);
	CHECK_INT(parse_size("1MB", &n), -EINVAL);
	CHECK_INT(parse_size("99999999999T", &n), -ERANGE);
	CHECK_INT(n, 1 << 30);
	CHECK_STR(format_size(1023, buf), "1023 B");
	CHECK_STR(format_size(1536, buf), "1.5 KiB");
}

TEST(closed_standard_descriptors_are_not_given_to_files)
{
	_cleanup_(fd) int said = dup(STDOUT_FILENO);

	CHECK(said > STDERR_FILENO);
	(void)close(STDIN_FILENO);
	(void)close(STDOUT_FILENO);
	(void)close(STDERR_FILENO);
	int r = fill_standard_fds();
	int next = open("/dev/null", O_RDONLY | O_CLOEXEC);
	bool writable = write(STDERR_FILENO, "x", 1) == 1;

	(void)dup2(said, STDOUT_FILENO); /* for what the checks say */
	CHECK_INT(r, 0);
	CHECK(next > STDERR_FILENO);
	CHECK(writable);
	(void)close(next); /* read side */
}

TEST(control_characters_are_not_shown)
{
	char text[] = "a\033[2J\n\x7f\xc2\x9bz \xc3\xa4\xc2\xa0";

	CHECK_STR(str_printable(text), "a?[2J?\?"
				       "??z \xc3\xa4\xc2\xa0");
}

TEST(lists)
{
	_cleanup_(strlist) struct strlist l = { 0 };

	strlist_add_words(&l, "  b a\tc\n");
	strlist_add_once(&l, "a");
	CHECK_INT(l.count, 3);
	strlist_sort(&l);
	_cleanup_(free) char *joined = strlist_join(&l, ",");

	CHECK_STR(joined, "a,b,c");
	CHECK(l.items[3] == NULL);
}

TEST(outfile_is_whole_or_absent)
{
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;
	_cleanup_(free) char *text = NULL;

	CHECK_OK(tempdir_make(&t, &e));
	CHECK_INT(mkdirat(t.fd, "in", 0700), 0);
	_cleanup_(fd) int fd = openat(t.fd, "in", O_RDONLY | O_DIRECTORY);

	CHECK(fd >= 0);
	{
		_cleanup_(outfile) struct outfile f = OUTFILE_NONE;

		CHECK_OK(outfile_open(fd, "goal", 0640, &f, &e));
		CHECK_INT(write_all(f.fd, "half", 4), 0);
		CHECK(faccessat(fd, "goal", F_OK, 0) < 0);
	}
	CHECK_INT(unlinkat(t.fd, "in", AT_REMOVEDIR) == 0 ? 0 : errno, 0); /* nothing was left behind */
	CHECK_OK(write_file_at(t.fd, "goal", 0640, "whole", 5, &e));
	CHECK_OK(read_file_at(t.fd, "goal", 100, &text, NULL, &e));
	CHECK_STR(text, "whole");
	struct stat st;

	CHECK_INT(fstatat(t.fd, "goal", &st, 0), 0);
	CHECK_INT(st.st_mode & 0777, 0640);
}

TEST(read_file_refuses_what_is_too_large)
{
	_cleanup_(free) char *text = NULL;

	CHECK_INT(read_file_at(AT_FDCWD, "/proc/self/exe", 1000, &text, NULL, &e), -EFBIG);
	CHECK(!text);
}

TEST(trees_are_made_and_removed_without_following_links)
{
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;

	CHECK_OK(tempdir_make(&t, &e));
	CHECK_OK(mkdir_parents_at(t.fd, "kept/b", 0755, &e));
	CHECK_OK(mkdir_parents_at(t.fd, "gone/c/d", 0755, &e));
	CHECK_INT(symlinkat("../kept", t.fd, "gone/link"), 0);
	CHECK_OK(remove_tree_at(t.fd, "gone", &e));
	CHECK(faccessat(t.fd, "gone", F_OK, 0) < 0);
	CHECK_INT(faccessat(t.fd, "kept/b", F_OK, 0), 0);
	CHECK_OK(remove_tree_at(t.fd, "missing", &e));
	CHECK_OK(mkdir_parents_at(t.fd, "many/deep", 0755, &e));
	for (int i = 0; i < 2000; i++) {
		_cleanup_(free) char *name = xasprintf("many/deep/%d", i);

		CHECK_INT(mkdirat(t.fd, name, 0755), 0);
	}
	CHECK_OK(remove_tree_at(t.fd, "many", &e));
	CHECK(faccessat(t.fd, "many", F_OK, 0) < 0);
	CHECK_OK(write_file_at(t.fd, "file", 0600, "", 0, &e));
	CHECK_ERROR(mkdir_parents_at(t.fd, "file", 0755, &e), "make folder file: Not a directory");
}

TEST(children_report_how_they_failed)
{
	const char *const no_such[] = { "no-such-program-here", NULL };
	const char *const bad[] = { "ls", "/no/such/file", NULL };
	const char *const sort[] = { "sh", "-c", "echo one; echo two >&2; exit 3", NULL };
	const char *const killed[] = { "sh", "-c", "kill -9 $$", NULL };
	struct proc_options accept3 = { .accept = 1 << 3 };

	CHECK_ERROR(proc_run(no_such, NULL, &e), "run no-such-program-here: program not found");
	CHECK_ERROR(proc_run(bad, NULL, &e), "ls /no/such/file: exit status 2: ls: cannot access "
					     "'/no/such/file': No such file or directory");
	CHECK_ERROR(proc_run(sort, NULL, &e), "sh -c echo one; echo two >&2; exit 3: exit status 3: two");
	CHECK_OK(proc_run(sort, &accept3, &e));
	CHECK_ERROR(proc_run(killed, NULL, &e), "sh -c kill -9 $$: killed by signal 9 (Killed)");
}

TEST(output_of_children_is_captured)
{
	const char *const argv[] = { "sh", "-c", "echo \"$WORD\"; echo noise >&2", NULL };
	const char *const env[] = { "WORD=hello", NULL };
	struct proc_options o = { .env = env };
	_cleanup_(free) char *out = NULL;

	CHECK_OK(proc_capture(argv, &o, &out, &e));
	CHECK_STR(out, "hello\n");
}

TEST(children_die_with_us)
{
	const char *const argv[] = { "sleep", "1000", NULL };
	int fds[2];
	pid_t grandchild = 0;

	CHECK_INT(pipe(fds), 0);
	pid_t child = fork();

	if (child == 0) {
		struct proc p = PROC_NONE;

		if (proc_spawn(argv, NULL, &p, &e) == 0)
			(void)!write(fds[1], &p.pid, sizeof(p.pid));
		(void)pause();
	}
	CHECK_INT(read(fds[0], &grandchild, sizeof(grandchild)), sizeof(grandchild));
	CHECK_INT(kill(child, SIGKILL), 0);
	CHECK_INT(waitpid(child, NULL, 0), child);
	/* The kernel sends the signal as the parent dies; the sleeper then needs a moment. Reparented
	 * zombies may stay for a lazy init, so its state is read instead of kill(pid, 0). */
	for (int i = 0; i < 500; i++) {
		_cleanup_(free) char *path = xasprintf("/proc/%d/stat", (int)grandchild);
		_cleanup_(free) char *stat_text = NULL;

		if (read_file_at(AT_FDCWD, path, 4096, &stat_text, NULL, &e) < 0 || strstr(stat_text, ") Z "))
			return;
		(void)nanosleep(&(struct timespec) { .tv_nsec = 10000000 }, NULL);
	}
	TAP_FAIL("the child %d outlived its parent", (int)grandchild);
}

TEST(digest_of_the_standards_example)
{
	char hex[DIGEST_HEX_SIZE];
	_cleanup_(digest) struct digest *d = digest_new();

	digest_add(d, "a", 1);
	digest_add(d, "bc", 2);
	digest_hex(d, hex);
	CHECK_STR(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TAP_MAIN()
