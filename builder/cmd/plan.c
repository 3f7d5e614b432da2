/* lifeboat plan: what recovery would do. */
#include "cmd/cmd.h"
#include "cmd/commands.h"
#include "cmd/recovery.h"
#include "cmd/show.h"

#include <stdio.h>

static void show_set(const struct set *s, const char *target)
{
	(void)printf("Set %s on %s\n", set_shown(s), target); /* cmd_done() looks */
	for (s = set_base(s); s; s = set_base(s))
		(void)printf("    which goes on from %s\n", set_shown(s)); /* as above */
}

int cmd_plan(int argc, char *argv[])
{
	static const struct option options[] = { RECOVERY_OPTIONS_LONG, CMD_OPTIONS_LONG };
	_cleanup_(cmd) struct cmd c;
	_cleanup_(recovery) struct recovery r = RECOVERY_NONE;
	_cleanup_(plan) struct plan p = { 0 };
	struct error e;
	int option, exit_code;

	cmd_begin(&c, "plan");
	while ((option = getopt_long(argc, argv, CMD_OPTIONS_SHORT, options, NULL)) >= 0)
		if (!recovery_option(&r, option) && !cmd_option(&c, option, &exit_code))
			return exit_code;
	if (optind < argc)
		r.url = argv[optind++];
	if (optind < argc)
		return cmd_usage(&c, "unexpected argument '%s'", argv[optind]);
	if (recovery_open(&r, &c, &e) < 0 || recovery_plan(&r, &c, &p, &e) < 0)
		return cmd_failed(&c, &e);
	if (c.json)
		return show_plan_json(&c, &p);
	if (r.set)
		show_set(r.set, r.target.shown);
	show_plan(&p, stdout);
	return cmd_done(&c);
}
