/* What went wrong, in one line: what was attempted, on what, and why it failed.
 * Rooms fill a `struct error` and return a negative errno; only cmd/ prints it. */
#pragma once
#include <errno.h>
#include <stddef.h>

struct error {
	int code; /* positive errno, 0 while nothing failed */
	char text[1024];
};

/* A positive errno as a return value that is negative for certain, whatever `code` is: a failure
 * can never be taken for success, and checkers see it too. */
static inline int error_negative(int code)
{
#ifdef __clang_analyzer__
	(void)code; /* its constraints do not reach through the minus sign */
	return -EIO;
#else
	return code > 0 ? -code : -EIO;
#endif
}

/* "FMT: strerror(code)". Evaluates to -code. `e` may be NULL. */
#define error_errno(e, code, ...)                                \
	({                                                       \
		int error_code_ = (code);                        \
		error_fill_errno((e), error_code_, __VA_ARGS__); \
		error_negative(error_code_);                     \
	})
/* "FMT" alone, for failures that errno does not explain. Evaluates to -code. */
#define error_text(e, code, ...)                                \
	({                                                      \
		int error_code_ = (code);                       \
		error_fill_text((e), error_code_, __VA_ARGS__); \
		error_negative(error_code_);                    \
	})
void error_fill_errno(struct error *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void error_fill_text(struct error *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts "FMT: " before the text that is there, to say on whose behalf it failed. */
void error_prefix(struct error *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The same for errno itself. */
static inline int negative_errno(void)
{
	return error_negative(errno);
}
