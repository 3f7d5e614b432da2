/* Sources: e2fsck(8) and fsck.fat(8), on their options and exit statuses. */
#include "enter/check_fs.h"

#include "base/proc.h"

#include <errno.h>

struct checker {
	const char *type, *tool;
	const char *safe, *ask, *yes; /* its option for each way; NULL: none is needed */
};
static const struct checker checkers[] = {
	{ "ext2", "e2fsck", "-p", NULL, "-y" },
	{ "ext3", "e2fsck", "-p", NULL, "-y" },
	{ "ext4", "e2fsck", "-p", NULL, "-y" },
	{ "vfat", "fsck.fat", "-n", "-r", "-a" },
};

/* 0: sound; 1: errors were corrected; 2: that too, and "the system should be rebooted". */
enum { corrected = 1 << 1 | 1 << 2 };

static int run(const struct checker *c, const char *option, const char *node, bool interactive,
	       struct error *e)
{
	const char *const with_option[] = { c->tool, option, node, NULL };
	const char *const plain[] = { c->tool, node, NULL };
	const struct proc_options options = { .interactive = interactive, .accept = corrected };

	return proc_run(option ? with_option : plain, &options, e);
}

static const struct checker *find(const char *type)
{
	for (size_t i = 0; i < sizeof(checkers) / sizeof(*checkers); i++)
		if (streq(type, checkers[i].type))
			return &checkers[i];
	return NULL;
}

int check_fs(const char *node, const char *type, enum check_answers answers, struct report *report,
	     struct error *e)
{
	const struct checker *c = find(type);
	_cleanup_(free) char *tool = c ? proc_find_program(c->tool) : NULL;

	if (!c)
		return 0;
	if (!tool) {
		report_warn(report, "%s (%s) is not checked: there is no %s", node, type, c->tool);
		return 0;
	}
	report_debug(report, "checking %s (%s)", node, type);
	int r = run(c, c->safe, node, false, e);

	if (r == 0)
		return 0;
	report_warn(report, "%s", e->text);
	if (answers == CHECK_SAFE)
		return error_text(
			e, EIO,
			"check %s (%s): it has errors; --yes repairs them, --no-fsck goes on as it is", node,
			type);
	report_info(report, "repairing %s (%s)", node, type);
	return run(c, answers == CHECK_YES ? c->yes : c->ask, node, answers == CHECK_ASK, e);
}
