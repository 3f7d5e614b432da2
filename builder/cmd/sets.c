#include "cmd/commands.h"

#include "backup/set.h"
#include "cmd/prune.h"
#include "cmd/target_arg.h"

#include <errno.h>
#include <jansson.h>
#include <sys/utsname.h>

enum { OPTION_PRUNE = CMD_FIRST_OWN, OPTION_DRY_RUN, OPTION_YES, OPTION_HOST };

struct wanted {
	const char *host; /* NULL: this machine */
	bool prune, dry_run, yes;
};

static void print_text(const struct set_list *l)
{
	for (size_t i = 0; i < l->count; i++) {
		const struct set_info *s = &l->items[i];
		char size[SIZE_TEXT_MAX];

		printf("%s  %s  %10s  level %u%s%s%s%s%s%s\n", s->host, s->name, format_size(s->size, size),
		       s->level, s->base ? " on " : "", s->base ? s->base : "",
		       s->encrypted ? "  encrypted" : "", s->exclude ? "  without " : "",
		       s->exclude ? s->exclude : "",
		       s->complete ? ""
				   : "  not complete: being written, or left by a backup that was killed");
	}
}

static bool add_json(json_t *all, const struct target *target, const struct set_list *l)
{
	size_t before = json_array_size(all);

	for (size_t i = 0; i < l->count; i++) {
		const struct set_info *s = &l->items[i];

		/* A member that could not be made is missed below. */
		(void)json_array_append_new(
			all, json_pack("{s:s, s:s, s:s, s:i, s:I, s:b, s:b, s:s?}", "target", target->shown,
				       "host", s->host, "set", s->name, "level", (int)s->level, "size",
				       (json_int_t)s->size, "complete", s->complete, "encrypted",
				       s->encrypted, "excluded", s->exclude));
	}
	return json_array_size(all) == before + l->count;
}

static int print_json(struct cmd *c, json_t *all, bool whole)
{
	struct error e;

	if (!whole || json_dumpf(all, stdout, JSON_INDENT(2)) != 0) {
		(void)error_errno(&e, EIO, "write the sets as JSON");
		return cmd_failed(c, &e);
	}
	printf("\n");
	return cmd_done(c);
}

/* Those of one place, or of one host there. */
static int list(struct cmd *c, const struct target *t, const char *host, struct set_list *l, struct error *e)
{
	int r = set_list(t, l, e);
	size_t count = 0;

	for (size_t i = 0; r == 0 && i < l->count; i++) {
		struct set_info s = l->items[i];

		l->items[i] = (struct set_info) { 0 };
		if (!host || streq(s.host, host)) {
			l->items[count++] = s;
		} else {
			free(s.host);
			free(s.name);
			free(s.base);
			free(s.exclude);
		}
	}
	if (r == 0)
		l->count = count;
	if (r == 0 && count == 0)
		report_info(&c->report, "%s holds no sets", t->shown);
	return r;
}

static int sets(struct cmd *c, const char *argument, const struct wanted *w)
{
	_cleanup_(recovery_conf) struct recovery_conf conf = { 0 };
	_cleanup_(target) struct target target = { .dirfd = -1 };
	bool whole = true;
	struct error e;

	if (recovery_conf_load(c->conf_path, &conf, &e) < 0 ||
	    cmd_target_open(c, &conf, argument, TARGET_READ, &target, &e) < 0)
		return cmd_failed(c, &e);
	json_t *all = json_array();
	int exit_code = EXIT_DONE;

	for (const struct target *t = &target; t && exit_code == EXIT_DONE; t = t->replica) {
		_cleanup_(set_list) struct set_list l = { 0 };

		if (list(c, t, w->host, &l, &e) < 0) {
			exit_code = cmd_failed(c, &e);
			break;
		}
		if (target.replica || target.missing)
			report_info(&c->report, "on %s:", t->shown);
		if (c->json)
			whole = add_json(all, t, &l) && whole;
		else
			print_text(&l);
	}
	if (exit_code == EXIT_DONE)
		exit_code = c->json ? print_json(c, all, whole) : cmd_done(c);
	json_decref(all);
	return exit_code == EXIT_DONE && target.missing ? EXIT_FAILED : exit_code;
}

/* Old backups of this machine go. */
static int prune(struct cmd *c, const char *argument, const struct wanted *w)
{
	_cleanup_(recovery_conf) struct recovery_conf conf = { 0 };
	_cleanup_(target) struct target target = { .dirfd = -1 };
	_cleanup_(free) char *question = NULL;
	struct utsname names;
	struct error e;

	if (recovery_conf_load(c->conf_path, &conf, &e) < 0)
		return cmd_failed(c, &e);
	if (uname(&names) < 0) {
		(void)error_errno(&e, errno, "look for this machine's name");
		return cmd_failed(c, &e);
	}
	const char *host = w->host ? w->host : names.nodename;
	const char *text = argument ? argument : conf.target;

	/* Opened for writing, a blank one would become a tape. */
	if (text && strstr(text, "dev:///")) {
		(void)error_text(&e, EINVAL,
				 "%s: from a raw device nothing can be removed: it is started anew by "
				 "'backup --overwrite'",
				 text);
		return cmd_failed(c, &e);
	}

	if (cmd_target_open(c, &conf, argument, w->dry_run ? TARGET_READ : TARGET_WRITE, &target, &e) < 0)
		return cmd_failed(c, &e);
	question =
		xasprintf("Backups of %s on %s beyond keep = %s will be removed. Type 'yes' to go on:", host,
			  target.shown, conf.keep);
	if (!w->dry_run && !w->yes && !cmd_consent(question, "yes")) {
		(void)error_text(&e, ECANCELED, "not confirmed, so nothing was removed (--yes does not ask)");
		return cmd_failed(c, &e);
	}
	if (cmd_prune(c, &conf, &target, host, false, w->dry_run, &e) < 0)
		return cmd_failed(c, &e);
	return target.missing ? EXIT_FAILED : cmd_done(c);
}

int cmd_sets(int argc, char *argv[])
{
	static const struct option options[] = { { "prune", no_argument, NULL, OPTION_PRUNE },
						 { "dry-run", no_argument, NULL, OPTION_DRY_RUN },
						 { "yes", no_argument, NULL, OPTION_YES },
						 { "host", required_argument, NULL, OPTION_HOST },
						 CMD_OPTIONS_LONG };
	_cleanup_(cmd) struct cmd c;
	struct wanted w = { 0 };
	int option, exit_code;

	cmd_begin(&c, argv[0]);
	while ((option = getopt_long(argc, argv, CMD_OPTIONS_SHORT, options, NULL)) != -1)
		switch (option) {
		case OPTION_PRUNE:
			w.prune = true;
			break;
		case OPTION_DRY_RUN:
			w.dry_run = true;
			break;
		case OPTION_YES:
			w.yes = true;
			break;
		case OPTION_HOST:
			w.host = optarg;
			break;
		default:
			if (!cmd_option(&c, option, &exit_code))
				return exit_code;
		}
	if (!w.prune && (w.dry_run || w.yes))
		return cmd_usage(&c, "--dry-run and --yes belong to --prune");
	if (argc - optind > 1)
		return cmd_usage(&c, "unexpected argument '%s'", argv[optind + 1]);
	const char *argument = optind < argc ? argv[optind] : NULL;

	return w.prune ? prune(&c, argument, &w) : sets(&c, argument, &w);
}
