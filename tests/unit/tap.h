/* Plain TAP for C: a test program is a list of TEST(name) functions and TAP_MAIN(). Each test runs
 * in a process of its own, so that a crash, a leak of state or an exit is one failed test. */
#pragma once
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct tap_test {
	const char *name;
	void (*run)(void);
	struct tap_test *next;
};
static struct tap_test *tap_first, **tap_last = &tap_first;

#define TEST(id)                                                     \
	static void test_##id(void);                                 \
	static struct tap_test tap_##id = { #id, test_##id, NULL };  \
	__attribute__((constructor)) static void register_##id(void) \
	{                                                            \
		*tap_last = &tap_##id;                               \
		tap_last = &tap_##id.next;                           \
	}                                                            \
	static void test_##id(void)

#define TAP_FAIL(...)                                    \
	do {                                             \
		printf("# %s:%d: ", __FILE__, __LINE__); \
		printf(__VA_ARGS__);                     \
		printf("\n");                            \
		fflush(stdout);                          \
		exit(1);                                 \
	} while (0)

#define CHECK(condition)                                      \
	do {                                                  \
		if (!(condition))                             \
			TAP_FAIL("not true: %s", #condition); \
	} while (0)

#define CHECK_INT(got, want)                                                      \
	do {                                                                      \
		long long got_ = (long long)(got), want_ = (long long)(want);     \
		if (got_ != want_)                                                \
			TAP_FAIL("%s is %lld, expected %lld", #got, got_, want_); \
	} while (0)

#define CHECK_STR(got, want)                                                                        \
	do {                                                                                        \
		const char *got_ = (got), *want_ = (want);                                          \
		if (!got_ || strcmp(got_, want_) != 0)                                              \
			TAP_FAIL("%s is '%s', expected '%s'", #got, got_ ? got_ : "(null)", want_); \
	} while (0)

/* For calls that return 0 or a negative errno and fill a struct error named `e`. */
#define CHECK_OK(call)                                                  \
	do {                                                            \
		int result_ = (call);                                   \
		if (result_ < 0)                                        \
			TAP_FAIL("%s: %d: %s", #call, result_, e.text); \
	} while (0)

/* The call fails with exactly this text. */
#define CHECK_ERROR(call, want)                                                         \
	do {                                                                            \
		int result_ = (call);                                                   \
		if (result_ >= 0)                                                       \
			TAP_FAIL("%s succeeded, expected the error '%s'", #call, want); \
		CHECK_STR(e.text, want);                                                \
	} while (0)

static int tap_run(void)
{
	int number = 0, failed = 0, status;

	for (struct tap_test *t = tap_first; t; t = t->next) {
		fflush(stdout);
		pid_t pid = fork();

		if (pid == 0) {
			t->run();
			fflush(stdout);
			exit(0); /* not _exit: the leak checker looks at exit */
		}
		if (pid < 0 || waitpid(pid, &status, 0) < 0) {
			perror("fork");
			return 1;
		}
		if (WIFSIGNALED(status))
			printf("# killed by signal %d\n", WTERMSIG(status));
		int good = WIFEXITED(status) && WEXITSTATUS(status) == 0;

		failed += !good;
		printf("%sok %d - %s\n", good ? "" : "not ", ++number, t->name);
	}
	printf("1..%d\n", number);
	return failed != 0;
}

#define TAP_MAIN()                \
	int main(void)            \
	{                         \
		return tap_run(); \
	}
