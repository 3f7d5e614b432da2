/* The question before a disk is overwritten, at a terminal of its own. */
#include "tap.h"

#include "cmd/cmd.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

struct person {
	int terminal;
	const char *line;
	atomic_bool answered;
};

/* Types its line again and again, so that one of them comes after the question. */
static void *type(void *user)
{
	struct person *p = user;

	while (!p->answered) {
		(void)nanosleep(&(struct timespec) { .tv_nsec = 50 * 1000 * 1000 }, NULL);
		CHECK(write(p->terminal, p->line, strlen(p->line)) > 0);
	}
	return NULL;
}

/* Whether a person consents who typed `before` ahead of the question and then goes on with `after`. */
static bool ask(const char *before, const char *after)
{
	struct person p = { .terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), .line = after };
	pthread_t thread;

	CHECK(p.terminal >= 0 && grantpt(p.terminal) == 0 && unlockpt(p.terminal) == 0);
	int slave = open(ptsname(p.terminal), O_RDWR | O_NOCTTY);

	CHECK(slave >= 0 && dup2(slave, STDIN_FILENO) == STDIN_FILENO);
	CHECK(write(p.terminal, before, strlen(before)) == (ssize_t)strlen(before));
	CHECK_INT(pthread_create(&thread, NULL, type, &p), 0);
	bool yes = cmd_consent("\n# Everything will be lost. Type 'yes' to go on:", "yes");

	p.answered = true;
	CHECK_INT(pthread_join(thread, NULL), 0);
	return yes;
}

TEST(yes_is_consent)
{
	CHECK(ask("", "yes\n"));
}

TEST(anything_else_is_not)
{
	CHECK(!ask("", "y\n"));
}

TEST(what_was_typed_before_the_question_is_not)
{
	CHECK(!ask("yes\n", "no\n"));
}

TEST(without_a_terminal_there_is_none)
{
	CHECK(freopen("/dev/null", "r", stdin));
	CHECK(!cmd_consent("\n# Type 'yes':", "yes"));
}

TAP_MAIN()
