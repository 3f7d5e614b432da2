#include "base/fs.h"
#include "base/proc.h"
#include "guest/script.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>

static struct error e;

/* A folder of its own, with a file that has `text`; the guest is a shell. */
struct stage {
	struct tempdir temp;
	struct script script;
	struct console console;
	struct proc proc;
};

static int load(struct stage *s, const char *text)
{
	CHECK_OK(tempdir_make(&s->temp, &e));
	CHECK(fchdir(s->temp.fd) == 0);
	CHECK_OK(write_file_at(AT_FDCWD, "s.conf", 0644, text, strlen(text), &e));
	return script_load("s.conf", &s->script, &e);
}

static int run_in(struct stage *s, const char *guest, const char *text, const struct strlist *alarms,
		  bool *ret_ended)
{
	const char *argv[] = { "sh", "-c", guest, NULL };
	_cleanup_(fd) int guest_fd = -1;

	CHECK_OK(load(s, text));
	CHECK_OK(console_open(NULL, &s->console, &guest_fd, &e));
	const struct proc_options o = { .stdin_fd = guest_fd, .stdout_fd = guest_fd, .stderr_fd = guest_fd };
	const struct script_guest g = { .console = &s->console };

	CHECK_OK(proc_spawn(argv, &o, &s->proc, &e));
	(void)close(TAKE_FD(guest_fd)); /* else the guest's end would not show */
	s->console.alarms = alarms;
	return script_run(&s->script, &g, ret_ended, &e);
}

static void strike(struct stage *s)
{
	proc_kill(&s->proc);
	console_close(&s->console);
	script_free(&s->script);
	CHECK(chdir("/") == 0);
	tempdir_remove(&s->temp);
}

#define STAGE                                                                    \
	{                                                                        \
		.temp = TEMPDIR_NONE, .console = CONSOLE_NONE, .proc = PROC_NONE \
	}

TEST(bad_scripts)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
		{ "", "s.conf: empty; expected [script] with steps below it" },
		{ "[drill]\ntitle = x\n", "s.conf:1: unknown section [drill]; expected one of: [script]" },
		{ "[script]\nwait =\n", "s.conf:2: bad value '' for 'wait'; expected a text" },
		{ "[script]\nlimit = 0\n", "s.conf:2: bad value '0' for 'limit'; expected seconds" },
		{ "[script]\nlogin = root\n",
		  "s.conf:2: bad value 'root' for 'login'; expected USER PASSWORD" },
		{ "[script]\npress = \\q\n", "s.conf:2: bad value '\\q' for 'press'; expected a text, with "
					     "\\n \\r \\t \\e \\\\ \\xHH for "
					     "keys" },
		{ "[script]\npress = \\x00\n", "s.conf:2: bad value '\\x00' for 'press'; expected a text, "
					       "with \\n \\r \\t \\e \\\\ \\xHH for "
					       "keys" },
		{ "[script]\npress = \\\n",
		  "s.conf:2: bad value '\\' for 'press'; expected a text, with \\n \\r "
		  "\\t \\e \\\\ \\xHH for keys" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct stage s = STAGE;

		CHECK_ERROR(load(&s, cases[i].text), cases[i].error);
		strike(&s);
	}
}

TEST(steps_are_done_in_their_order)
{
	struct stage s = STAGE;
	_cleanup_(free) char *captured = NULL;
	bool ended = false;

	CHECK_OK(run_in(&s, "echo ready; exec sh",
			"[script]\nwait = ready\nrun = echo one; printf two\nshows = one\ncapture = out\n"
			"fails = exit_with() { return 3; }; exit_with\n"
			"type = exit\nends = 10\n",
			NULL, &ended));
	CHECK(ended);
	CHECK_OK(read_file_at(AT_FDCWD, "out", 100, &captured, NULL, &e));
	CHECK_STR(captured, "one\ntwo");
	strike(&s);
}

TEST(a_long_command_arrives_whole)
{
	struct stage s = STAGE;
	_cleanup_(strbuf) struct strbuf text = { 0 };
	bool ended = true;

	strbuf_puts(&text, "[script]\nrun = printf '%s' \"");
	for (int i = 0; i < 900; i++)
		strbuf_puts(&text, i % 7 ? "x" : "it's ");
	strbuf_puts(&text, "\" | wc -c\nshows = 1416\n");
	/* where its pieces are put is the guest's own /run; here a folder of ours stands for it */
	CHECK_OK(run_in(&s, "exec unshare -r -m sh -c 'mount -t tmpfs run /run && exec sh'", text.data, NULL,
			&ended));
	CHECK(!ended);
	strike(&s);
}

TEST(failures_say_where)
{
	static const struct {
		const char *guest, *text, *error;
	} cases[] = {
		{ "exec sh", "run = echo so; false", "s.conf:2: run: echo so; false: exit status 1: so" },
		{ "exec sh", "fails = true",
		  "s.conf:2: fails: true: it succeeded, and should have failed: " },
		{ "exec sh", "shows = x", "s.conf:2: shows: there was no 'run' or 'fails' before it" },
		{ "exec sh", "run = echo a\nshows = b",
		  "s.conf:3: shows: the last command did not show 'b' but: a" },
		{ "exec sh", "control = stop", "s.conf:2: control: this guest has no management console" },
		{ "echo over", "wait = more",
		  "s.conf:2: wait: wait for 'more' on the guest's console: the guest ended without it; its "
		  "last "
		  "line: over" },
		{ "exec sleep 60", "ends = 1", "s.conf:2: ends: the guest has not ended within 1 seconds" },
		{ "echo Kernel panic - not syncing", "ends = 9",
		  "s.conf:2: ends: the guest's kernel panicked" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct stage s = STAGE;
		_cleanup_(free) char *text = xasprintf("[script]\n%s\n", cases[i].text);
		bool ended;

		CHECK_ERROR(run_in(&s, cases[i].guest, text, NULL, &ended), cases[i].error);
		strike(&s);
	}
}

TEST(an_alarm_ends_it)
{
	struct stage s = STAGE;
	_cleanup_(strlist) struct strlist alarms = { 0 };
	bool ended;

	strlist_add(&alarms, "never");
	strlist_add(&alarms, "Login incorrect");
	CHECK_INT(run_in(&s, "echo welcome; echo Login incorrect; echo more; exec sleep 60",
			 "[script]\nwait = welcome\nwait = more\n", &alarms, &ended),
		  -ECANCELED);
	CHECK_STR(e.text, "s.conf:3: wait: the guest's console shows 'Login incorrect'");
	strike(&s);
}

TAP_MAIN()
