#include "cmd/commands.h"

#include "backup/set.h"
#include "cmd/identity.h"
#include "cmd/target_arg.h"
#include "cmd/verify_disks.h"

#include <errno.h>
#include <jansson.h>

struct wanted {
	const char *host, *set; /* NULL: the only one; the newest */
	bool all, deep;
	struct identity *identity;
};

enum {
	OPTION_HOST = CMD_FIRST_OWN,
	OPTION_SET,
	OPTION_ALL,
	OPTION_DEEP,
	OPTION_IDENTITY,
	OPTION_DISKS,
	OPTION_MAP,
	OPTION_KEY_FILE,
	OPTION_SAMPLE,
	OPTION_SEED
};

/* One line, or one JSON object per line. */
static void print_result(struct cmd *c, const struct target *target, const char *shown, const struct error *e)
{
	if (!c->json) {
		if (!e->code)
			printf("%s: every byte is what was written\n", shown);
		return;
	}
	json_t *object = json_pack("{s:s, s:s, s:b, s:s*}", "target", target->shown, "set", shown, "good",
				   e->code == 0, "error", e->code ? e->text : NULL);

	if (object && json_dumpf(object, stdout, JSON_COMPACT) == 0)
		printf("\n");
	json_decref(object);
}

/* With the sets that it goes on from, unless they have their own turn. */
static int verify_chain(struct cmd *c, struct set *s, const struct wanted *w, struct error *e)
{
	int r = 0;

	bool closed = set_encrypted(s) && !w->identity->path;

	for (struct set *one = s; one && r == 0; one = w->all ? NULL : set_base(one))
		r = set_verify(one, &c->report, e);
	if (r == 0 && closed && !w->deep) {
		report_info(&c->report,
			    "%s is encrypted: its files are whole; with --identity what is in them is looked "
			    "at, too",
			    set_shown(s));
		return 0;
	}
	if (r == 0)
		r = identity_give(w->identity, s, false, &c->report, e);
	for (struct set *one = s; one && r == 0; one = w->all ? NULL : set_base(one))
		r = set_check_listings(one, w->deep, &c->report, e);
	return r;
}

/* False: it is damaged, which has been said. */
static bool verify_one(struct cmd *c, struct target *target, const char *host, const char *name,
		       const struct wanted *w)
{
	_cleanup_(set) struct set *s = NULL;
	_cleanup_(free) char *asked = xasprintf("%s/%s", host ? host : "", name ? name : "");
	struct error e = { 0 };

	/* e.code tells */
	if (set_open(target, host, name, &s, &c->report, &e) == 0)
		(void)verify_chain(c, s, w, &e);
	if (e.code)
		(void)cmd_failed(c, &e);
	print_result(c, target, s ? set_shown(s) : asked, &e);
	return e.code == 0;
}

static bool verify_all(struct cmd *c, struct target *target, const struct wanted *w)
{
	_cleanup_(set_list) struct set_list l = { 0 };
	struct error e;
	size_t bad = 0, seen = 0;

	if (set_list(target, &l, &e) < 0)
		return cmd_failed(c, &e) == EXIT_DONE;
	for (size_t i = 0; i < l.count; i++) {
		if (!l.items[i].complete || (w->host && !streq(w->host, l.items[i].host)))
			continue;
		seen++;
		bad += !verify_one(c, target, l.items[i].host, l.items[i].name, w);
	}
	if (seen == 0) {
		(void)error_text(&e, ENOENT, "%s: no complete set", target->shown);
		return cmd_failed(c, &e) == EXIT_DONE;
	}
	return bad == 0;
}

static bool verify_in(struct cmd *c, struct target *target, const struct wanted *w)
{
	return w->all ? verify_all(c, target, w) : verify_one(c, target, w->host, w->set, w);
}

static int verify(struct cmd *c, const char *argument, const struct wanted *w)
{
	_cleanup_(recovery_conf) struct recovery_conf conf = { 0 };
	_cleanup_(target) struct target target = { .dirfd = -1 };
	struct error e;

	if (recovery_conf_load(c->conf_path, &conf, &e) < 0 ||
	    cmd_target_open(c, &conf, argument, TARGET_READ, &target, &e) < 0)
		return cmd_failed(c, &e);
	identity_configure(w->identity, &conf);
	bool good = target.missing == 0;

	/* Each place by itself: here none may stand in for another. */
	for (struct target *t = &target; t;) {
		struct target *next = TAKE_PTR(t->replica);

		if (target.missing || next || t != &target)
			report_info(&c->report, "on %s:", t->shown);
		good = verify_in(c, t, w) && good;
		t = t->replica = next;
	}
	return good ? cmd_done(c) : EXIT_FAILED;
}

struct arguments {
	struct wanted wanted;
	struct verify_disks disks;
	struct identity identity;
	bool on_disks;
};

static void arguments_free(struct arguments *a)
{
	strlist_free(&a->disks.map);
	identity_free(&a->identity);
}
DEFINE_CLEANUP(arguments, struct arguments, arguments_free)

/* "10" or "10%". */
static int parse_share(const struct cmd *c, double *ret)
{
	_cleanup_(free) char *number = xstrdup(optarg);
	size_t len = strlen(number);
	uint64_t percent;

	if (len && number[len - 1] == '%')
		number[len - 1] = '\0';
	if (parse_u64(number, &percent) < 0 || percent < 1 || percent > 100)
		return cmd_usage(c, "bad --sample '%s'; expected a percentage from 1 to 100", optarg);
	*ret = (double)percent / 100;
	return EXIT_DONE;
}

/* True: one of our own options. `*ret_exit` is not EXIT_DONE when its value is bad. */
static bool own_option(const struct cmd *c, struct arguments *a, int option, int *ret_exit)
{
	*ret_exit = EXIT_DONE;
	switch (option) {
	case OPTION_HOST:
		a->wanted.host = optarg;
		return true;
	case OPTION_SET:
		a->wanted.set = optarg;
		return true;
	case OPTION_ALL:
		a->wanted.all = true;
		return true;
	case OPTION_DEEP:
		a->wanted.deep = true;
		return true;
	case OPTION_IDENTITY:
		a->identity.path = optarg;
		return true;
	case OPTION_DISKS:
		a->on_disks = true;
		return true;
	case OPTION_MAP:
		strlist_add(&a->disks.map, optarg);
		return true;
	case OPTION_KEY_FILE:
		a->disks.key_file = optarg;
		return true;
	case OPTION_SAMPLE:
		*ret_exit = parse_share(c, &a->disks.share);
		return true;
	case OPTION_SEED:
		if (parse_u64(optarg, &a->disks.seed) < 0)
			*ret_exit = cmd_usage(c, "bad --seed '%s'; expected a number", optarg);
		return true;
	default:
		return false;
	}
}

static int check_usage(const struct cmd *c, const struct arguments *a)
{
	if (a->wanted.all && a->wanted.set)
		return cmd_usage(c, "--all and --set exclude each other");
	if (a->on_disks && (a->wanted.all || a->wanted.deep))
		return cmd_usage(c, "--disks goes with neither --all nor --deep");
	if (!a->on_disks && (a->disks.map.count || a->disks.key_file || a->disks.share < 1))
		return cmd_usage(c, "--map, --key-file and --sample need --disks");
	return EXIT_DONE;
}

int cmd_verify(int argc, char *argv[])
{
	static const struct option options[] = { { "host", required_argument, NULL, OPTION_HOST },
						 { "set", required_argument, NULL, OPTION_SET },
						 { "all", no_argument, NULL, OPTION_ALL },
						 { "deep", no_argument, NULL, OPTION_DEEP },
						 { "identity", required_argument, NULL, OPTION_IDENTITY },
						 { "disks", no_argument, NULL, OPTION_DISKS },
						 { "map", required_argument, NULL, OPTION_MAP },
						 { "key-file", required_argument, NULL, OPTION_KEY_FILE },
						 { "sample", required_argument, NULL, OPTION_SAMPLE },
						 { "seed", required_argument, NULL, OPTION_SEED },
						 CMD_OPTIONS_LONG };
	_cleanup_(cmd) struct cmd c;
	_cleanup_(arguments) struct arguments a = { .disks.share = 1, .identity = IDENTITY_NONE };
	int option, exit_code;

	cmd_begin(&c, argv[0]);
	while ((option = getopt_long(argc, argv, CMD_OPTIONS_SHORT, options, NULL)) != -1) {
		if (!own_option(&c, &a, option, &exit_code) && !cmd_option(&c, option, &exit_code))
			return exit_code;
		if (exit_code != EXIT_DONE)
			return exit_code;
	}
	if (argc - optind > 1)
		return cmd_usage(&c, "unexpected argument '%s'", argv[optind + 1]);
	exit_code = check_usage(&c, &a);
	if (exit_code != EXIT_DONE)
		return exit_code;
	const char *target = optind < argc ? argv[optind] : NULL;

	a.wanted.identity = a.disks.identity = &a.identity;
	if (!a.on_disks)
		return verify(&c, target, &a.wanted);
	a.disks.url = target;
	a.disks.host = a.wanted.host;
	a.disks.set = a.wanted.set;
	return cmd_verify_disks(&c, &a.disks);
}
