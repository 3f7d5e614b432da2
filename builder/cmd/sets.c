#include "cmd/commands.h"

#include "backup/set.h"
#include "cmd/target_arg.h"

#include <errno.h>
#include <jansson.h>

static void print_text(const struct set_list *l)
{
	for (size_t i = 0; i < l->count; i++) {
		const struct set_info *s = &l->items[i];
		char size[SIZE_TEXT_MAX];

		printf("%s  %s  %10s  level %u%s\n", s->host, s->name, format_size(s->size, size), s->level,
		       s->complete ? ""
				   : "  not complete: being written, or left by a backup that was killed");
	}
}

static int print_json(struct cmd *c, const struct set_list *l)
{
	struct error e;
	json_t *all = json_array();

	for (size_t i = 0; i < l->count; i++) {
		const struct set_info *s = &l->items[i];

		/* A member that could not be made makes json_dumpf fail. */
		(void)json_array_append_new(all, json_pack("{s:s, s:s, s:i, s:I, s:b}", "host", s->host,
							   "set", s->name, "level", (int)s->level, "size",
							   (json_int_t)s->size, "complete", s->complete));
	}
	int failed = json_array_size(all) != l->count || json_dumpf(all, stdout, JSON_INDENT(2)) != 0;

	json_decref(all);
	if (failed) {
		(void)error_errno(&e, EIO, "write the sets as JSON");
		return cmd_failed(c, &e);
	}
	printf("\n");
	return cmd_done(c);
}

static int sets(struct cmd *c, const char *argument)
{
	_cleanup_(recovery_conf) struct recovery_conf conf = { 0 };
	_cleanup_(target) struct target target = { .dirfd = -1 };
	_cleanup_(set_list) struct set_list l = { 0 };
	struct error e;

	if (recovery_conf_load(c->conf_path, &conf, &e) < 0 ||
	    cmd_target_open(c, &conf, argument, false, &target, &e) < 0 || set_list(&target, &l, &e) < 0)
		return cmd_failed(c, &e);
	if (c->json)
		return print_json(c, &l);
	if (l.count == 0)
		report_info(&c->report, "%s holds no sets", target.shown);
	print_text(&l);
	return cmd_done(c);
}

int cmd_sets(int argc, char *argv[])
{
	static const struct option options[] = { CMD_OPTIONS_LONG };
	_cleanup_(cmd) struct cmd c;
	int option, exit_code;

	cmd_begin(&c, argv[0]);
	while ((option = getopt_long(argc, argv, CMD_OPTIONS_SHORT, options, NULL)) != -1)
		if (!cmd_option(&c, option, &exit_code))
			return exit_code;
	if (argc - optind > 1)
		return cmd_usage(&c, "unexpected argument '%s'", argv[optind + 1]);
	return sets(&c, optind < argc ? argv[optind] : NULL);
}
