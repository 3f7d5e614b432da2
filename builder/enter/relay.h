/* The container's console, a pty, joined with the person's terminal; or only listened to. */
#pragma once
#include "base/cleanup.h"
#include "base/error.h"
#include "base/str.h"

#include <stdbool.h>
#include <termios.h>

enum relay_end {
	RELAY_SEEN, /* the text that was waited for */
	RELAY_ENDED, /* the container's process has */
	RELAY_LEFT, /* the person pressed Ctrl-] three times, or the terminal is gone */
	RELAY_TIME_UP,
	RELAY_SIGNAL,
};

struct relay {
	int master; /* ours */
	char *slave; /* the container's: its path */
	int terminal_fd; /* the person's, in raw mode; -1: nobody is there */
	struct termios saved;
	int show_fd; /* where it is shown; -1: nowhere */
	int signal_fd; /* the caller's (a signalfd) */
	struct strbuf said; /* its last words */
};
#define RELAY_NONE                                                               \
	{                                                                        \
		.master = -1, .terminal_fd = -1, .show_fd = -1, .signal_fd = -1, \
	}

/* `terminal_fd` -1: only listen. */
int relay_open(struct relay *ret, int terminal_fd, int show_fd, int signal_fd, struct error *e);
/* The terminal is as it was before. */
void relay_close(struct relay *r);
DEFINE_CLEANUP(relay, struct relay, relay_close)

/* Passes bytes both ways until one of the ends. `text` may be NULL; `seconds` 0: no limit. `ended_fd`: a pidfd. */
int relay_run(struct relay *r, int ended_fd, const char *text, unsigned seconds, enum relay_end *ret,
	      struct error *e);
/* The last line it said. The caller frees. */
char *relay_last_line(const struct relay *r);
