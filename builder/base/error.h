/* What went wrong, in one line: what was attempted, on what, and why it failed.
 * Rooms fill a `struct error` and return a negative errno; only cmd/ prints it. */
#pragma once
#include <errno.h>
#include <stddef.h>

struct error {
	int code; /* positive errno, 0 while nothing failed */
	char text[1024];
};

/* "FMT: strerror(code)". Returns -code. `e` may be NULL. */
int error_errno(struct error *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* "FMT" alone, for failures that errno does not explain. Returns -code. */
int error_text(struct error *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts "FMT: " before the text that is there, to say on whose behalf it failed. */
void error_prefix(struct error *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* errno as a return value that is negative for certain, which checkers cannot know of -errno. */
static inline int negative_errno(void)
{
	return errno > 0 ? -errno : -EIO;
}
