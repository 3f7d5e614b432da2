/* A guest's serial console: everything it says goes to a log, and a program can wait for texts and
 * type, or hand the line to the person at the terminal. Nothing here knows what the guest is.
 *
 * Waiting, typing and passing on all move bytes both ways, so that neither side ever blocks the
 * other. What was waited for is consumed: the next wait looks at what comes after it. */
#pragma once
#include "base/cleanup.h"
#include "base/error.h"
#include "base/str.h"

#include <stdbool.h>

struct console {
	int fd; /* our end of the line; -1 once the guest has closed its own */
	int log_fd; /* -1: no log */
	char *log; /* its path, for messages */
	int show_fd; /* the caller's: what the guest says is copied here; -1: nowhere */
	int ended_fd; /* the caller's (a pidfd): readable once the guest's process has ended; -1: none */
	int signal_fd; /* the caller's (a signalfd): what is readable there ends all waiting; -1: none */
	const struct strlist
		*alarms; /* the caller's: texts that end all waiting when they appear; NULL: none */
	struct strbuf said; /* what the guest said and nobody has waited for yet */
	struct strbuf to_type; /* what it has not taken yet */
};
#define CONSOLE_NONE                                                                   \
	{                                                                              \
		.fd = -1, .log_fd = -1, .show_fd = -1, .ended_fd = -1, .signal_fd = -1 \
	}

/* Makes a line. `*ret_guest_fd` is the guest's end: the caller gives it to the guest as stdin and
 * stdout, and closes it. `log` may be NULL. */
int console_open(const char *log, struct console *ret, int *ret_guest_fd, struct error *e);
void console_close(struct console *c);
DEFINE_CLEANUP(console, struct console, console_close)

/* Waits until one of the texts (NULL-terminated list) appears; `*ret_which` (may be NULL) gets the
 * index of the first. `seconds` 0: no limit. -ETIMEDOUT when none came, -EPIPE when the guest
 * ended without, -EINTR on a signal, -ECANCELED when an alarm came first; the error says what it was and quotes
 * the last line. */
int console_wait(struct console *c, const char *const texts[], unsigned seconds, unsigned *ret_which,
		 struct error *e);

/* The same for one text; `*ret_before` gets what the guest said up to it, without carriage returns. The caller
 * frees. Of more than a megabyte only the last part is there. */
int console_until(struct console *c, const char *text, unsigned seconds, char **ret_before, struct error *e);

/* Waits until `fd` is readable, while the guest goes on talking: 1, or 0 when it was not within `seconds`, or
 * the guest has ended. */
int console_attend(struct console *c, int fd, unsigned seconds, struct error *e);

/* Lets the guest talk for `milliseconds`, or to its end. */
int console_pause(struct console *c, unsigned milliseconds, struct error *e);

/* Types the text as it is (end it with "\n" or "\r") and waits until the guest has taken it. */
int console_type(struct console *c, const char *text, unsigned seconds, struct error *e);

/* The rest of the line that what was last waited for stands in, once it is there: consumed, without
 * control characters. After `seconds`, or when the guest has ended, what there is. The caller frees. */
int console_line(struct console *c, unsigned seconds, char **ret, struct error *e);

/* Joins the terminal `terminal_fd` (put into raw mode meanwhile) and the guest, until the guest ends
 * (0) or the person leaves with Ctrl-] x (1). Ctrl-] twice types one Ctrl-]. */
int console_interact(struct console *c, int terminal_fd, int show_fd, struct error *e);
