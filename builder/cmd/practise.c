#include "cmd/practise.h"

#include <stdio.h>
#include <time.h>

struct practice {
	struct cmd *cmd;
	const struct drill *drill;
	const char *about;
	struct drill_run *run;
	size_t hints; /* how many were asked for */
	unsigned checks;
	time_t begun;
	int exit_code;
};

static void paragraph(const char *text)
{
	unsigned column = 0;

	/* broken at blanks, for a terminal of 80 columns */
	while (*text) {
		unsigned len = (unsigned)strcspn(text, " ");

		if (column && column + 1 + len > 76) {
			printf("\n");
			column = 0;
		}
		printf("%s%.*s", column ? " " : "  ", (int)len, text);
		column += len + (column ? 1 : 2);
		text += len;
		text += strspn(text, " ");
	}
	printf("\n");
}

static void show_exercise(const struct practice *p)
{
	printf("\n%s\n\n", p->drill->title);
	for (size_t i = 0; i < p->drill->exercise.count; i++) {
		paragraph(p->drill->exercise.items[i]);
		printf("\n");
	}
	if (p->about) {
		_cleanup_(free) char *about = xstrdup(p->about);

		paragraph(str_strip(about));
		printf("\n");
	}
}

static void show_commands(void)
{
	printf("  machine   start the broken machine here (Ctrl-] x leaves and ends it)\n"
	       "  rescue    start the rescue system with its disks (the same keys leave it)\n"
	       "  exercise  what is to be done\n"
	       "  hint      the next hint\n"
	       "  clean     start over with the clean machine's disks: what was on them is lost\n"
	       "  check     I have cured it: see whether that is so\n"
	       "  quit      give up\n");
}

static bool do_hint(struct practice *p)
{
	if (p->hints < p->drill->hints.count) {
		printf("  Hint %zu of %zu:\n", p->hints + 1, p->drill->hints.count);
		paragraph(p->drill->hints.items[p->hints++]);
	} else {
		printf("  There are no more hints. What cures it stands in [cure] of\n  %s\n",
		       p->drill->file);
	}
	return true;
}

static bool failed(struct practice *p, const struct error *e)
{
	report_error(&p->cmd->report, e);
	return e->code != EINTR;
}

static bool hand_over(struct practice *p, enum drill_boot boot)
{
	struct error e;
	int r = drill_hand_over(p->run, boot, &p->cmd->report, &e);

	printf("\r\n"); /* wherever the guest has left the cursor */
	return r == 0 || failed(p, &e);
}

static bool do_machine(struct practice *p)
{
	return hand_over(p, DRILL_BOOT_MACHINE);
}

static bool do_rescue(struct practice *p)
{
	return hand_over(p, DRILL_BOOT_RESCUE);
}

static bool do_clean(struct practice *p)
{
	struct error e;

	return drill_clean(p->run, &e) == 0 || failed(p, &e);
}

static bool do_exercise(struct practice *p)
{
	show_exercise(p);
	return true;
}

/* Why the check failed, without the place in the drill's file: "FILE:LINE: STEP: why". */
static const char *plain_reason(const struct practice *p, const char *text)
{
	const char *rest = str_after(text, p->drill->file), *why;

	for (int i = 0; i < 2 && rest; i++) {
		why = strstr(rest, ": ");
		rest = why ? why + 2 : NULL;
	}
	return rest ? rest : text;
}

static bool do_check(struct practice *p)
{
	long seconds = (long)(time(NULL) - p->begun);
	struct error e;

	p->checks++;
	printf("The machine is started and looked at ...\n");
	(void)fflush(stdout); /* cmd_done() looks at what became of it */
	if (drill_check(p->run, &p->cmd->report, &e) < 0) {
		if (e.code == EINTR)
			return failed(p, &e);
		printf("Not cured yet: %s\n", plain_reason(p, e.text));
		return true;
	}
	printf("Cured in %ld min %02ld s, with %zu of %zu hints, at check %u.\n", seconds / 60, seconds % 60,
	       p->hints, p->drill->hints.count, p->checks);
	p->exit_code = EXIT_DONE;
	return false;
}

static bool do_quit(struct practice *p)
{
	printf("Given up. What cures it stands in [cure] of\n  %s\n", p->drill->file);
	return false;
}

/* Each returns whether the practice goes on. */
static const struct {
	const char *name;
	bool (*run)(struct practice *p);
} commands[] = {
	{ "machine", do_machine }, { "rescue", do_rescue }, { "exercise", do_exercise }, { "hint", do_hint },
	{ "clean", do_clean },     { "check", do_check },   { "quit", do_quit },
};

/* A beginning of the word is enough. */
static bool obey(struct practice *p, const char *word)
{
	for (size_t i = 0; *word && i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strncmp(commands[i].name, word, strlen(word)) == 0)
			return commands[i].run(p);
	show_commands();
	return true;
}

int practise_drill(struct cmd *c, const struct drill *drill, const char *about, struct drill_run *run)
{
	struct practice p = { .cmd = c,
			      .drill = drill,
			      .about = about,
			      .run = run,
			      .begun = time(NULL),
			      .exit_code = EXIT_FAILED };
	char line[80];

	show_exercise(&p);
	show_commands();
	do {
		printf("drill> ");
		(void)fflush(stdout); /* cmd_done() looks at what became of it */
		if (!fgets(line, sizeof(line), stdin))
			break;
	} while (obey(&p, str_strip(line)));
	int done = cmd_done(c);

	return p.exit_code == EXIT_DONE ? done : p.exit_code;
}
