#include "base/fs.h"
#include "base/proc.h"
#include "guest/console.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/signalfd.h>

static struct error e;

/* A guest that is a shell script. */
static void start(const char *script, const char *log, struct console *c, struct proc *p)
{
	const char *argv[] = { "sh", "-c", script, NULL };
	_cleanup_(fd) int guest_fd = -1;

	CHECK_OK(console_open(log, c, &guest_fd, &e));
	const struct proc_options o = { .stdin_fd = guest_fd, .stdout_fd = guest_fd };

	CHECK_OK(proc_spawn(argv, &o, p, &e));
}

static int wait_for(struct console *c, const char *text, unsigned seconds)
{
	const char *texts[] = { text, NULL };

	return console_wait(c, texts, seconds, NULL, &e);
}

TEST(waits_types_and_logs)
{
	_cleanup_(tempdir) struct tempdir temp = TEMPDIR_NONE;
	_cleanup_(console) struct console c = CONSOLE_NONE;
	_cleanup_(proc) struct proc p = PROC_NONE;
	_cleanup_(free) char *logged = NULL;

	CHECK_OK(tempdir_make(&temp, &e));
	_cleanup_(free) char *log = xasprintf("%s/log", temp.path);

	start("printf 'login: '; read name; echo \"hello $name\"; echo bye", log, &c, &p);
	CHECK_OK(wait_for(&c, "login: ", 10));
	CHECK_OK(console_type(&c, "root\n", 10, &e));
	CHECK_OK(wait_for(&c, "hello root", 10));
	CHECK_OK(wait_for(&c, "bye\n", 10));
	CHECK_OK(proc_wait(&p, NULL, &e));
	CHECK_OK(read_file_at(AT_FDCWD, log, 4096, &logged, NULL, &e));
	CHECK_STR(logged, "login: hello root\nbye\n");
}

TEST(what_was_waited_for_is_consumed)
{
	_cleanup_(console) struct console c = CONSOLE_NONE;
	_cleanup_(proc) struct proc p = PROC_NONE;

	start("echo one; echo two; echo one", NULL, &c, &p);
	CHECK_OK(wait_for(&c, "one", 10));
	CHECK_OK(wait_for(&c, "one", 10));
	CHECK_ERROR(wait_for(&c, "two", 10),
		    "wait for 'two' on the guest's console: the guest ended without it");
}

TEST(the_first_of_several_texts_wins)
{
	_cleanup_(console) struct console c = CONSOLE_NONE;
	_cleanup_(proc) struct proc p = PROC_NONE;
	const char *texts[] = { "never", "late", "soon", NULL };
	unsigned which = 9;

	_cleanup_(free) char *rest = NULL, *end = NULL;

	start("printf 'soon and late: the r'; sleep 0.2; printf 'est\\r\\nmore'", NULL, &c, &p);
	CHECK_OK(console_wait(&c, texts, 10, &which, &e));
	CHECK_INT(which, 2);
	CHECK_OK(console_wait(&c, texts, 10, &which, &e));
	CHECK_INT(which, 1);
	CHECK_OK(console_line(&c, 10, &rest, &e));
	CHECK_STR(rest, ": the rest");
	CHECK_OK(console_line(&c, 10, &end, &e));
	CHECK_STR(end, "more");
}

TEST(a_text_in_pieces_is_found)
{
	_cleanup_(console) struct console c = CONSOLE_NONE;
	_cleanup_(proc) struct proc p = PROC_NONE;

	start("printf LIFE; sleep 0.1; printf BOAT; sleep 0.1; printf ' READY'", NULL, &c, &p);
	CHECK_OK(wait_for(&c, "LIFEBOAT READY", 10));
}

/* A BIOS that draws its screen on a serial line says for each change where it is. */
TEST(a_text_with_positions_between_is_found)
{
	_cleanup_(console) struct console c = CONSOLE_NONE;
	_cleanup_(proc) struct proc p = PROC_NONE;
	const char *texts[] = { "later", "grub rescue>", NULL };
	unsigned which = 9;

	start("printf 'a gr\\033[1mub\\ngrub res\\033[07;08H\\033[07;09Hcue>\\033[0m later\\n'; echo grub; "
	      "echo 'rescue>'",
	      NULL, &c, &p);
	CHECK_OK(console_wait(&c, texts, 10, &which, &e));
	CHECK_INT(which, 1);
	CHECK_OK(wait_for(&c, "\033[0m later", 10)); /* nothing more was consumed */
	CHECK_ERROR(wait_for(&c, "grub rescue>", 10), "wait for 'grub rescue>' on the guest's console: the "
						      "guest ended without it; its last line: rescue>");
}

TEST(more_than_it_keeps_goes_by)
{
	_cleanup_(console) struct console c = CONSOLE_NONE;
	_cleanup_(proc) struct proc p = PROC_NONE;

	start("head -c 5000000 /dev/zero; echo end", NULL, &c, &p);
	CHECK_OK(wait_for(&c, "end\n", 20));
}

TEST(a_limit_quotes_the_last_line)
{
	_cleanup_(console) struct console c = CONSOLE_NONE;
	_cleanup_(proc) struct proc p = PROC_NONE;

	start("echo first; printf '\\033[31mlast line\\r\\n\\n'; exec sleep 60", NULL, &c, &p);
	CHECK_INT(wait_for(&c, "READY", 1), -ETIMEDOUT);
	CHECK_STR(e.text, "wait for 'READY' on the guest's console: not within 1 seconds; its last line: "
			  "[31mlast line");
}

TEST(typing_to_a_guest_that_does_not_read_ends)
{
	_cleanup_(console) struct console c = CONSOLE_NONE;
	_cleanup_(proc) struct proc p = PROC_NONE;
	_cleanup_(free) char *much = xmalloc(4000001);

	memset(much, 'x', 4000000);
	much[4000000] = '\0';
	start("exec sleep 60", NULL, &c, &p);
	CHECK_ERROR(console_type(&c, much, 1, &e), "type on the guest's console: not taken within 1 seconds");
	proc_kill(&p);
	CHECK_ERROR(console_type(&c, "x", 10, &e), "type on the guest's console: the guest has ended");
}

TEST(a_signal_ends_the_waiting)
{
	_cleanup_(console) struct console c = CONSOLE_NONE;
	_cleanup_(proc) struct proc p = PROC_NONE;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	_cleanup_(fd) int fd = signalfd(-1, &set, SFD_CLOEXEC);

	start("exec sleep 60", NULL, &c, &p);
	c.signal_fd = fd;
	CHECK(kill(getpid(), SIGTERM) == 0);
	CHECK_INT(wait_for(&c, "READY", 10), -EINTR);
	CHECK_STR(e.text, "ended by signal 15 (Terminated)");
}

/* Reads the terminal's other side until `text` came. */
static void terminal_shows(int fd, const char *text)
{
	_cleanup_(strbuf) struct strbuf shown = { 0 };
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char chunk[256];

	while (!shown.data || !strstr(shown.data, text)) {
		if (poll(&p, 1, 10000) != 1)
			TAP_FAIL("the terminal did not show '%s' but '%s'", text,
				 shown.data ? shown.data : "");
		ssize_t n = read(fd, chunk, sizeof(chunk));

		CHECK(n > 0);
		strbuf_add(&shown, chunk, (size_t)n);
	}
}

TEST(a_person_types_escapes_and_leaves)
{
	_cleanup_(console) struct console c = CONSOLE_NONE;
	_cleanup_(proc) struct proc p = PROC_NONE;
	struct termios before, after;
	int ours, terminal;

	CHECK(openpty(&ours, &terminal, NULL, NULL, NULL) == 0);
	CHECK(tcgetattr(terminal, &before) == 0);
	pid_t person = fork();

	CHECK(person >= 0);
	if (person == 0) {
		terminal_shows(ours, "name? ");
		CHECK(write(ours, "\003\035\035me\n", 6) == 6); /* Ctrl-C and Ctrl-] reach the guest */
		terminal_shows(ours, "got 003 035 m e");
		CHECK(write(ours, "\035x", 2) == 2);
		exit(0);
	}
	start("printf 'name? '; head -n 1 | od -An -c | sed 's/  */ /g; s/^/got/'; exec sleep 60", NULL, &c,
	      &p);
	CHECK_INT(console_interact(&c, terminal, terminal, &e), 1);
	int status;

	CHECK(waitpid(person, &status, 0) == person && status == 0);
	CHECK(tcgetattr(terminal, &after) == 0);
	CHECK_INT(after.c_lflag, before.c_lflag);
	CHECK_INT(after.c_iflag, before.c_iflag);
	close(ours);
	close(terminal);
}

TEST(the_guest_ends_under_the_persons_hands)
{
	_cleanup_(console) struct console c = CONSOLE_NONE;
	_cleanup_(proc) struct proc p = PROC_NONE;
	int ours, terminal;

	CHECK(openpty(&ours, &terminal, NULL, NULL, NULL) == 0);
	start("echo over", NULL, &c, &p);
	CHECK_INT(console_interact(&c, terminal, terminal, &e), 0);
	terminal_shows(ours, "over");
	close(ours);
	close(terminal);
}

TAP_MAIN()
