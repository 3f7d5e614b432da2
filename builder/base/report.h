/* Where rooms leave what a person should see while they work. Rooms call these; they never print.
 * The one implementation writes to stderr: a bar on a terminal, plain lines elsewhere, JSON lines
 * when asked. Results do not go here: cmd/ writes them to stdout. */
#pragma once
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* What is said: SILENT: errors alone, for what is none of the person's business; QUIET: warnings as well. */
enum verbosity { VERBOSITY_SILENT = -1, VERBOSITY_QUIET, VERBOSITY_NORMAL, VERBOSITY_VERBOSE };

struct report {
	enum verbosity verbosity;
	bool json; /* events as JSON lines */
	bool terminal; /* stderr is one */
	/* the running progress, if any */
	const char *what; /* caller's */
	uint64_t total, done; /* bytes; total 0 = unknown */
	struct timespec begun, shown;
	bool line_open; /* the bar is on the screen, without its newline */
};

void report_init(struct report *r, enum verbosity verbosity, bool json);

void report_warn(struct report *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void report_info(struct report *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void report_debug(struct report *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void report_error(struct report *r, const struct error *e);

/* Anything that may take more than two seconds. Bytes are the unit. `what` must live until
 * report_end(). Nothing appears before two seconds have passed. */
void report_begin(struct report *r, const char *what, uint64_t total);
void report_progress(struct report *r, uint64_t done);
void report_end(struct report *r);

/* The line that a terminal of so many columns shows of it: shorter than that, or the next one would not cover it. For tests. */
struct strbuf;
void report_fit(const char *what, const char *blocks, const char *text, size_t columns, struct strbuf *ret);
