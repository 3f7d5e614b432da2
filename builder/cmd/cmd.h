/* What the commands share: the options every one of them takes, and how they end. */
#pragma once
#include "base/error.h"
#include "base/report.h"
#include "base/str.h"

#include <getopt.h>
#include <stdbool.h>

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct command {
	const char *name;
	const char *summary; /* one line, for `lifeboat --help` */
	int (*run)(int argc, char *argv[]); /* argv[0] is the command's name; returns the exit code */
};

/* The common options, filled by cmd_option(). */
struct cmd {
	const char *name;
	const char *conf_path; /* -c, or NULL */
	struct strlist profiles; /* -p; empty: recovery.conf decides */
	struct report report;
	bool json; /* --json: results as JSON on stdout */
};
void cmd_free(struct cmd *c);
DEFINE_CLEANUP(cmd, struct cmd, cmd_free)

#define CMD_OPTIONS_SHORT "c:p:qvh"
#define CMD_OPTIONS_LONG                                                                         \
	{ "config", required_argument, NULL, 'c' }, { "profile", required_argument, NULL, 'p' }, \
		{ "quiet", no_argument, NULL, 'q' }, { "verbose", no_argument, NULL, 'v' },      \
		{ "json", no_argument, NULL, CMD_JSON }, { "help", no_argument, NULL, 'h' },     \
	{                                                                                        \
		NULL, 0, NULL, 0                                                                 \
	}
/* Numbers of long-only options start above this. */
enum { CMD_JSON = 256, CMD_FIRST_OWN };

void cmd_begin(struct cmd *c, const char *name);

/* For the `default:` of a command's getopt loop. True: it was a common option, go on. False: end
 * now with `*ret_exit` (--help was printed, or the option is unknown). */
bool cmd_option(struct cmd *c, int option, int *ret_exit);

/* "lifeboat NAME: FMT" and "Try 'lifeboat NAME --help'." on stderr. Returns EXIT_USAGE. */
int cmd_usage(const struct cmd *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Prints the error as one line. Returns EXIT_FAILED. */
int cmd_failed(struct cmd *c, const struct error *e);

/* For commands that only print: a reader that has seen enough (`lifeboat list | head`) ends them without a
 * word, as any filter. */
void cmd_print_as_filter(void);

/* Flushes stdout: results that could not be written are a failure. */
int cmd_done(struct cmd *c);

/* Asks on the terminal and reads a line without outer blanks into `line`. False without a terminal on stdin, or
 * at its end. */
bool cmd_ask(const char *question, char *line, size_t size);

/* Asks on /dev/tty and reads a line that is not shown; the caller frees. -ENOTTY: there is no terminal. */
int cmd_ask_secret(const char *question, char **ret, struct error *e);

/* Asks on the terminal and reads a line. True only when the person typed `wanted` exactly. Without
 * a terminal on stdin there is no consent. */
bool cmd_consent(const char *question, const char *wanted);

/* The --help text of a command, from its man page; NULL when there is none. Generated. */
const char *help_text(const char *name);
