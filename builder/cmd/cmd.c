#include "cmd/cmd.h"

#include <errno.h>
#include <signal.h>
#include <termios.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

void cmd_begin(struct cmd *c, const char *name)
{
	*c = (struct cmd) { .name = name };
	report_init(&c->report, VERBOSITY_NORMAL, false);
	optind = 0; /* glibc: start anew, also on GNU extensions */
}

void cmd_free(struct cmd *c)
{
	strlist_free(&c->profiles);
}

bool cmd_option(struct cmd *c, int option, int *ret_exit)
{
	switch (option) {
	case 'c':
		c->conf_path = optarg;
		return true;
	case 'p':
		strlist_add_once(&c->profiles, optarg);
		return true;
	case 'q':
		c->report.verbosity = VERBOSITY_QUIET;
		return true;
	case 'v':
		c->report.verbosity = VERBOSITY_VERBOSE;
		return true;
	case CMD_JSON:
		c->json = c->report.json = true;
		return true;
	case 'h': {
		const char *text = help_text(c->name);

		(void)fputs(text ? text : "", stdout); /* cmd_done() looks */
		*ret_exit = cmd_done(c);
		return false;
	}
	default: /* getopt has said what is wrong */
		(void)fprintf(stderr, "Try 'lifeboat %s --help'.\n", c->name);
		*ret_exit = EXIT_USAGE;
		return false;
	}
}

int cmd_usage(const struct cmd *c, const char *fmt, ...)
{
	va_list ap;

	(void)fprintf(stderr, "lifeboat %s: ", c->name);
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	(void)fprintf(stderr, "\nTry 'lifeboat %s --help'.\n", c->name);
	return EXIT_USAGE;
}

int cmd_failed(struct cmd *c, const struct error *e)
{
	report_end(&c->report);
	report_error(&c->report, e);
	return EXIT_FAILED;
}

void cmd_print_as_filter(void)
{
	(void)signal(SIGPIPE, SIG_DFL); /* a valid number cannot fail */
}

int cmd_done(struct cmd *c)
{
	struct error e;

	if (fflush(stdout) == 0 && !ferror(stdout))
		return EXIT_DONE;
	(void)error_errno(&e, errno ? errno : EIO, "write the result to standard output");
	return cmd_failed(c, &e);
}

bool cmd_ask(const char *question, char *line, size_t size)
{
	/* What was typed before the question is no answer to it. */
	if (!isatty(STDIN_FILENO) || tcflush(STDIN_FILENO, TCIFLUSH) < 0)
		return false;
	(void)fprintf(stderr, "%s ", question);
	(void)fflush(stderr);
	if (!fgets(line, (int)size, stdin))
		return false;
	char *text = str_strip(line);

	memmove(line, text, strlen(text) + 1);
	return true;
}

bool cmd_consent(const char *question, const char *wanted)
{
	char line[128];

	return cmd_ask(question, line, sizeof(line)) && streq(line, wanted);
}

int cmd_ask_secret(const char *question, char **ret, struct error *e)
{
	_cleanup_(file) FILE *tty = fopen("/dev/tty", "r+e");
	_cleanup_(free) char *line = NULL;
	struct termios before, silent;
	size_t capacity = 0;

	if (!tty || tcgetattr(fileno(tty), &before) < 0)
		return error_text(e, ENOTTY, "there is no terminal to ask on");
	silent = before;
	silent.c_lflag &= ~(tcflag_t)ECHO;
	if (tcsetattr(fileno(tty), TCSAFLUSH, &silent) < 0)
		return error_errno(e, errno, "ask for what is secret");
	(void)fputs(question, tty); /* the terminal that was just opened */
	(void)fflush(tty);
	ssize_t n = getline(&line, &capacity, tty);

	(void)fputc('\n', tty); /* as above */
	if (tcsetattr(fileno(tty), TCSAFLUSH, &before) < 0 || n < 0)
		return error_errno(e, n < 0 ? ECANCELED : errno, "ask for what is secret");
	line[strcspn(line, "\r\n")] = '\0';
	*ret = TAKE_PTR(line);
	return 0;
}
