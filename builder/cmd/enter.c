#include "cmd/commands.h"

#include "enter/enter.h"
#include "enter/interrupt.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>

enum {
	OPTION_LIST = CMD_FIRST_OWN,
	OPTION_YES,
	OPTION_NO_FSCK,
	OPTION_CHROOT,
	OPTION_RUN,
	OPTION_KEY,
	OPTION_WITHIN,
};

/* Seconds until a system that hangs is entered by chroot. */
enum { default_within = 90 };

struct enter {
	struct cmd cmd;
	const char *device, *key;
	bool list;
	struct enter_options options;
};

static void enter_free(struct enter *n)
{
	cmd_free(&n->cmd);
}
DEFINE_CLEANUP(enter, struct enter, enter_free)

static void print_text(const struct systems *s)
{
	for (size_t i = 0; i < s->count; i++) {
		const struct installed *one = &s->items[i];

		printf("%zu  %s%s%s (%s)  %s%s%s\n", i + 1, one->node, one->subvolume ? ":" : "",
		       one->subvolume ? one->subvolume : "", one->type, one->name, one->host ? ", " : "",
		       one->host ? one->host : "");
	}
}

static int print_json(struct cmd *c, const struct systems *s)
{
	json_t *all = json_array();
	struct error e;

	for (size_t i = 0; i < s->count; i++) {
		const struct installed *one = &s->items[i];

		/* A member that could not be made makes the sizes differ. */
		(void)json_array_append_new(all, json_pack("{s:s, s:s, s:s?, s:s, s:s?}", "device", one->node,
							   "type", one->type, "subvolume", one->subvolume,
							   "name", one->name, "host", one->host));
	}
	int failed = json_array_size(all) != s->count || json_dumpf(all, stdout, JSON_INDENT(2)) != 0;

	json_decref(all);
	if (failed) {
		(void)error_errno(&e, EIO, "write the systems as JSON");
		return cmd_failed(c, &e);
	}
	printf("\n");
	return cmd_done(c);
}

/* A number that a person types. */
static int choose(const struct systems *s, size_t *ret, struct error *e)
{
	char line[32];
	uint64_t number;

	if (s->count == 0)
		return error_text(e, ENOENT,
				  "no installed system is found; 'lifeboat enter DEVICE' enters a file "
				  "system all the same");
	if (s->count == 1) {
		*ret = 0;
		return 0;
	}
	if (!isatty(STDIN_FILENO))
		return error_text(e, EINVAL,
				  "there are %zu systems: name the DEVICE of one (--list shows them)",
				  s->count);
	print_text(s);
	printf("Which one? [1-%zu]: ", s->count);
	(void)fflush(stdout); /* the prompt; a terminal that is gone answers nothing either */
	bool answered = fgets(line, sizeof(line), stdin) != NULL;
	int r = interrupt_check(e);

	if (r < 0)
		return r;
	if (!answered || parse_u64(str_strip(line), &number) < 0 || number < 1 || number > s->count)
		return error_text(e, EINVAL, "that is none of them; nothing was done");
	*ret = (size_t)number - 1;
	return 0;
}

static int enter_one(struct enter *n, const char *folder, int *ret_status, struct error *e)
{
	_cleanup_(systems) struct systems systems = { 0 };
	size_t which;
	int r = systems_find(n->device, folder, &systems, &n->cmd.report, e);

	if (r == 0)
		r = interrupt_check(e);
	if (r < 0)
		return r;
	if (n->list) {
		*ret_status = n->cmd.json ? print_json(&n->cmd, &systems)
					  : (print_text(&systems), cmd_done(&n->cmd));
		return 0;
	}
	r = choose(&systems, &which, e);
	return r < 0 ? r : enter_system(&systems.items[which], &n->options, &n->cmd.report, ret_status, e);
}

static int enter(struct enter *n)
{
	struct activated activated = { 0 };
	const char *folder;
	int status = EXIT_FAILED;
	struct error e, late;

	if (enter_prepare(&folder, &e) < 0)
		return cmd_failed(&n->cmd, &e);
	interrupt_note();
	int r = activate(&activated, n->device, n->key, isatty(STDIN_FILENO) && !n->list, &n->cmd.report, &e);

	if (r == 0)
		r = enter_one(n, folder, &status, &e);
	int stopped = deactivate(&activated, &late);

	if (r < 0)
		return cmd_failed(&n->cmd, &e);
	if (stopped < 0)
		return cmd_failed(&n->cmd, &late);
	if (!n->list && !n->options.command)
		report_info(&n->cmd.report, "left: all is written to the disks and unmounted");
	return status;
}

/* True: one of our own options. `*ret_exit` is not EXIT_DONE when its value is bad. */
static bool own_option(struct enter *n, int option, int *ret_exit)
{
	uint64_t seconds;

	*ret_exit = EXIT_DONE;
	switch (option) {
	case OPTION_LIST:
		n->list = true;
		return true;
	case OPTION_YES:
		n->options.answers = CHECK_YES;
		return true;
	case OPTION_NO_FSCK:
		n->options.check = false;
		return true;
	case OPTION_CHROOT:
		n->options.plain = true;
		return true;
	case OPTION_RUN:
		n->options.command = optarg;
		return true;
	case OPTION_KEY:
		n->key = optarg;
		return true;
	case OPTION_WITHIN:
		if (parse_u64(optarg, &seconds) < 0 || seconds == 0 || seconds > 86400)
			*ret_exit =
				cmd_usage(&n->cmd, "bad --within '%s'; expected a number of seconds", optarg);
		else
			n->options.within = (unsigned)seconds;
		return true;
	default:
		return false;
	}
}

int cmd_enter(int argc, char *argv[])
{
	static const struct option options[] = { { "list", no_argument, NULL, OPTION_LIST },
						 { "yes", no_argument, NULL, OPTION_YES },
						 { "no-fsck", no_argument, NULL, OPTION_NO_FSCK },
						 { "chroot", no_argument, NULL, OPTION_CHROOT },
						 { "run", required_argument, NULL, OPTION_RUN },
						 { "key", required_argument, NULL, OPTION_KEY },
						 { "within", required_argument, NULL, OPTION_WITHIN },
						 CMD_OPTIONS_LONG };
	_cleanup_(enter) struct enter n = { .options = { .check = true,
							 .answers = isatty(STDIN_FILENO) ? CHECK_ASK
											 : CHECK_SAFE,
							 .within = default_within } };
	int option, exit_code;

	cmd_begin(&n.cmd, argv[0]);
	while ((option = getopt_long(argc, argv, CMD_OPTIONS_SHORT, options, NULL)) != -1) {
		if (!own_option(&n, option, &exit_code) && !cmd_option(&n.cmd, option, &exit_code))
			return exit_code;
		if (exit_code != EXIT_DONE)
			return exit_code;
	}
	if (argc - optind > 1)
		return cmd_usage(&n.cmd, "unexpected argument '%s'", argv[optind + 1]);
	if (n.list && n.options.command)
		return cmd_usage(&n.cmd, "--list and --run exclude each other");
	if (n.cmd.json && !n.list)
		return cmd_usage(&n.cmd, "--json is for --list");
	if (!n.list && !n.options.command && !isatty(STDIN_FILENO))
		return cmd_usage(&n.cmd, "without a terminal there is nobody to enter: --run COMMAND");
	n.device = optind < argc ? argv[optind] : NULL;
	return enter(&n);
}
