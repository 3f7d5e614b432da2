/* lifeboat survey: machine.conf of this machine. */
#include "cmd/cmd.h"
#include "cmd/commands.h"
#include "cmd/show.h"
#include "conf/recovery.h"
#include "machine/machine_conf.h"
#include "machine/survey.h"

#include <stdio.h>

int cmd_survey(int argc, char *argv[])
{
	static const struct option options[] = { CMD_OPTIONS_LONG };
	_cleanup_(cmd) struct cmd c;
	_cleanup_(recovery_conf) struct recovery_conf conf = { 0 };
	_cleanup_(machine) struct machine m = { 0 };
	_cleanup_(strbuf) struct strbuf text = { 0 };
	struct error e;
	int option, exit_code;

	cmd_begin(&c, "survey");
	while ((option = getopt_long(argc, argv, CMD_OPTIONS_SHORT, options, NULL)) >= 0)
		if (!cmd_option(&c, option, &exit_code))
			return exit_code;
	if (optind < argc)
		return cmd_usage(&c, "unexpected argument '%s'", argv[optind]);
	const struct survey_options surveyed = { .leave_out = &conf.leave_out };

	if (recovery_conf_load(c.conf_path, &conf, &e) < 0 || survey(&m, &surveyed, &c.report, &e) < 0)
		return cmd_failed(&c, &e);
	if (c.json)
		return show_machine_json(&c, &m);
	if (machine_conf_format(&m, &text, &e) < 0)
		return cmd_failed(&c, &e);
	(void)fputs(text.data, stdout); /* cmd_done() looks */
	return cmd_done(&c);
}
