/* The table of commands. */
#include "cmd/commands.h"

#include "base/fs.h"

#include <signal.h>
#include <stdio.h>

#ifndef LIFEBOAT_VERSION
#define LIFEBOAT_VERSION "unknown"
#endif

static const struct command commands[] = {
#define COMMAND(name, summary) { #name, summary, cmd_##name },
#include "cmd/commands.def"
#undef COMMAND
	{ NULL, NULL, NULL },
};

static int overview(FILE *to, int exit_code)
{
	(void)fputs(
		"lifeboat makes a rescue stick from this machine, and brings the machine back with it.\n\n"
		"Usage: lifeboat COMMAND [OPTIONS] [ARGUMENTS]\n\n",
		to);
	for (size_t i = 0; commands[i].name; i++)
		(void)fprintf(to, "  %-8s  %s\n", commands[i].name, commands[i].summary);
	(void)fputs("\n'lifeboat COMMAND --help' explains a command; lifeboat(1) explains them all.\n", to);
	return fflush(to) == 0 ? exit_code : EXIT_FAILED;
}

int main(int argc, char *argv[])
{
	if (fill_standard_fds() < 0)
		return EXIT_FAILED; /* there is nowhere to say so */
	/* A reader that went away shows as a write error, with its message. */
	(void)signal(SIGPIPE, SIG_IGN); /* a valid number cannot fail */
	/* So does a file that may not grow any more (`ulimit -f`). */
	(void)signal(SIGXFSZ, SIG_IGN);
	if (argc < 2)
		return overview(stderr, EXIT_USAGE);
	if (streq(argv[1], "--help") || streq(argv[1], "-h") || streq(argv[1], "help"))
		return overview(stdout, EXIT_DONE);
	if (streq(argv[1], "--version"))
		return printf("lifeboat %s\n", LIFEBOAT_VERSION) > 0 && fflush(stdout) == 0 ? EXIT_DONE
											    : EXIT_FAILED;
	for (size_t i = 0; commands[i].name; i++)
		if (streq(argv[1], commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	(void)fprintf(stderr, "lifeboat: unknown command '%s'\nTry 'lifeboat --help'.\n", argv[1]);
	return EXIT_USAGE;
}
