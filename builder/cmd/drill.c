#include "cmd/commands.h"
#include "cmd/drill_this.h"
#include "cmd/practise.h"

#include "base/fs.h"
#include "guest/drill.h"
#include "image/image.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { OPTION_LIST = CMD_FIRST_OWN, OPTION_PRACTISE, OPTION_LOG, OPTION_TARGET, OPTION_HOST };

struct drills {
	struct cmd cmd;
	char *folder; /* of the drills that come with Lifeboat */
	const char *logs, *target, *host;
	struct recovery_conf conf; /* this machine's */
	struct tempdir rescue; /* the rescue image */
	char *rescue_kernel; /* which it was made with, DRILL_THIS for this machine's own; NULL: not yet */
	json_t *results; /* NULL: not as JSON */
	unsigned failed;
	bool interrupted;
};

static void drills_free(struct drills *d)
{
	cmd_free(&d->cmd);
	free(d->folder);
	free(d->rescue_kernel);
	recovery_conf_free(&d->conf);
	tempdir_remove(&d->rescue);
	json_decref(d->results);
}
DEFINE_CLEANUP(drills, struct drills, drills_free)

/* The rescue image as it is on a stick, but for the kernel, which fits the kind of guest: once for all drills in a row that
 * take the same. `kernel` NULL: this machine's own image. */
static int make_rescue(struct drills *d, const char *kernel, struct error *e)
{
	_cleanup_(recovery_conf) struct recovery_conf defaults = { 0 };
	_cleanup_(strlist) struct strlist profiles = { 0 };
	_cleanup_(image_result) struct image_result result = { 0 };
	struct report quiet = d->cmd.report;
	const struct image_request request = {
		.conf = kernel ? &defaults : &d->conf, .profiles = &profiles, .kernel = kernel, .root = "/"
	};
	const struct strlist *own = d->cmd.profiles.count ? &d->cmd.profiles : &d->conf.profiles;
	const char *made_with = kernel ? kernel : DRILL_THIS;

	if (d->rescue_kernel && streq(d->rescue_kernel, made_with))
		return 0;
	free(d->rescue_kernel);
	d->rescue_kernel = NULL;
	tempdir_remove(&d->rescue);
	/* it is thrown away: what it would lack on a stick is not for who practises */
	if (quiet.verbosity < VERBOSITY_VERBOSE)
		quiet.verbosity = VERBOSITY_SILENT;
	for (size_t i = 0; !kernel && i < own->count; i++)
		strlist_add(&profiles, own->items[i]);
	strlist_add_once(&profiles, "drill");
	int r = recovery_conf_load("/dev/null", &defaults, e); /* no share, no site's own steps */

	if (r == 0)
		r = tempdir_make(&d->rescue, e);
	if (r == 0)
		r = image_build(&request, d->rescue.path, &result, &quiet, e);
	if (r < 0) {
		error_prefix(e, "make the rescue image of the drills");
		return r;
	}
	d->rescue_kernel = xstrdup(made_with);
	return 0;
}

static double now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail with a valid clock */
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- unattended ---- */

struct verdict {
	const char *phase; /* where it failed; NULL: it passed */
	double seconds[3];
};

static int do_drill(struct drill_run *run, struct report *report, struct verdict *v, struct error *e)
{
	static const struct {
		const char *name;
		int (*run)(struct drill_run *run, struct report *report, struct error *e);
	} phases[] = { { "break", drill_break }, { "cure", drill_cure }, { "check", drill_check } };

	for (size_t i = 0; i < 3; i++) {
		double begun = now();
		int r = phases[i].run(run, report, e);

		v->seconds[i] = now() - begun;
		if (r < 0) {
			v->phase = phases[i].name;
			return r;
		}
	}
	return 0;
}

static void print_verdict(struct drills *d, const struct drill *drill, const struct verdict *v,
			  const struct error *why)
{
	double total = v->seconds[0] + v->seconds[1] + v->seconds[2];

	if (d->results) /* a member that could not be made makes json_dumpf fail */
		(void)json_array_append_new(d->results,
					    json_pack("{s:s, s:b, s:s?, s:s?, s:f, s:f, s:f, s:f}", "drill",
						      drill->name, "passed", v->phase == NULL, "phase",
						      v->phase, "reason", v->phase ? why->text : NULL,
						      "seconds", total, "break", v->seconds[0], "cure",
						      v->seconds[1], "check", v->seconds[2]));
	else if (v->phase)
		printf("%-18s FAILED in %s: %s\n", drill->name, v->phase, why->text);
	else if (d->cmd.report.verbosity > VERBOSITY_QUIET)
		printf("%-18s passed  %5.1f s (break %.1f, cure %.1f, check %.1f)\n", drill->name, total,
		       v->seconds[0], v->seconds[1], v->seconds[2]);
	(void)fflush(stdout); /* cmd_done() looks at what became of it */
}

static int shows_fd(const struct drills *d)
{
	return d->cmd.report.verbosity == VERBOSITY_VERBOSE ? STDERR_FILENO : 0;
}

/* The drill's machine, and the rescue image that fits it. */
static int get_machine(struct drills *d, const struct drill *drill, struct drill_machine *ret,
		       struct error *e)
{
	bool own = streq(drill->machine, DRILL_THIS);

	if (own && !d->target && !d->conf.target)
		return error_text(e, EINVAL,
				  "%s needs a backup of this machine, and no target is named: --target, or "
				  "recovery.conf",
				  drill->file);
	int r = own ? make_rescue(d, NULL, e)
		    : drill_machine(d->folder, drill->machine, ret, &d->cmd.report, e);
	const struct drill_this this = { .cmd = &d->cmd,
					 .conf = &d->conf,
					 .target = d->target,
					 .host = d->host,
					 .rescue = d->rescue.path,
					 .show_fd = shows_fd(d) };

	if (r < 0)
		return r;
	return own ? drill_this_machine(&this, ret, e) : make_rescue(d, ret->kernel, e);
}

/* What every drill begins with. */
static int set_up(struct drills *d, const char *name, struct drill *drill, struct drill_machine *machine,
		  struct drill_run **run, struct error *e)
{
	int r = drill_load(d->folder, name, drill, e);

	if (r == 0)
		r = get_machine(d, drill, machine, e);
	if (r < 0)
		return r;
	const struct drill_setup setup = {
		.machine = machine, .rescue = d->rescue.path, .logs = d->logs, .show_fd = shows_fd(d)
	};

	return drill_begin(drill, &setup, run, e);
}

static int unattended(struct drills *d, const char *name)
{
	_cleanup_(drill) struct drill drill = { 0 };
	_cleanup_(drill_machine) struct drill_machine machine = { 0 };
	_cleanup_(drill_run) struct drill_run *run = NULL;
	struct verdict v = { NULL };
	struct error e = { 0 };
	int r = set_up(d, name, &drill, &machine, &run, &e);

	if (r == 0)
		r = do_drill(run, &d->cmd.report, &v, &e);
	d->interrupted = r == -EINTR;
	if (d->interrupted || !run) {
		d->failed++;
		return cmd_failed(&d->cmd, &e);
	}
	if (r == 0 && drill_machine_check(&machine, &e) < 0)
		v.phase = "clean";
	d->failed += v.phase != NULL;
	print_verdict(d, &drill, &v, &e);
	return EXIT_DONE;
}

static int finish(struct drills *d)
{
	struct error e;

	if (d->results) {
		if (json_dumpf(d->results, stdout, JSON_INDENT(2)) != 0) {
			(void)error_errno(&e, EIO, "write the verdicts as JSON");
			return cmd_failed(&d->cmd, &e);
		}
		printf("\n");
	}
	int exit_code = cmd_done(&d->cmd);

	return exit_code == EXIT_DONE && d->failed ? EXIT_FAILED : exit_code;
}

/* All of them; those on this machine itself need a backup of it. */
static int choose_all(struct drills *d, struct strlist *ret, struct error *e)
{
	_cleanup_(strlist) struct strlist names = { 0 };

	drill_names(d->folder, &names);
	for (size_t i = 0; i < names.count; i++) {
		_cleanup_(drill) struct drill drill = { 0 };
		int r = drill_load(d->folder, names.items[i], &drill, e);

		if (r < 0)
			return r;
		if (streq(drill.machine, DRILL_THIS) && !d->target && !d->conf.target)
			report_info(&d->cmd.report,
				    "%s is left out: no target with a backup of this machine is named",
				    drill.name);
		else
			strlist_add(ret, drill.name);
	}
	return 0;
}

static int run_all(struct drills *d, const struct strlist *names)
{
	for (size_t i = 0; i < names->count; i++) {
		int exit_code = unattended(d, names->items[i]);

		if (exit_code != EXIT_DONE && (d->interrupted || names->count == 1))
			return exit_code;
	}
	return finish(d);
}

/* ---- the rest ---- */

static int list(struct drills *d)
{
	_cleanup_(strlist) struct strlist names = { 0 };
	json_t *all = d->results;

	drill_names(d->folder, &names);
	for (size_t i = 0; i < names.count; i++) {
		_cleanup_(drill) struct drill drill = { 0 };
		struct error e;

		if (drill_load(d->folder, names.items[i], &drill, &e) < 0)
			return cmd_failed(&d->cmd, &e);
		if (all)
			(void)json_array_append_new(all,
						    json_pack("{s:s, s:s, s:s}", "drill", drill.name, "title",
							      drill.title, "machine", drill.machine));
		else
			printf("%-18s %s\n", drill.name, drill.title);
	}
	return finish(d);
}

static int practise(struct drills *d, const char *name)
{
	_cleanup_(drill) struct drill drill = { 0 };
	_cleanup_(drill_machine) struct drill_machine machine = { 0 };
	_cleanup_(drill_run) struct drill_run *run = NULL;
	struct error e;

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return cmd_usage(&d->cmd, "--practise needs a terminal");
	if (set_up(d, name, &drill, &machine, &run, &e) < 0)
		return cmd_failed(&d->cmd, &e);
	printf("The machine is being broken; that takes %s.\n",
	       machine.qemu ? "a minute or two" : "about 20 seconds");
	(void)fflush(stdout); /* cmd_done() looks at what became of it */
	if (drill_break(run, &d->cmd.report, &e) < 0)
		return cmd_failed(&d->cmd, &e);
	int exit_code = practise_drill(&d->cmd, &drill, machine.about, run);

	if (drill_machine_check(&machine, &e) < 0)
		return cmd_failed(&d->cmd, &e);
	return exit_code;
}

static int open_drills(struct drills *d, struct error *e)
{
	_cleanup_(free) char *data = image_find_datadir();

	if (!data)
		return error_text(e, ENOENT,
				  "find the drills: no folder with profiles; set LIFEBOAT_DATADIR");
	d->folder = xasprintf("%s/profiles/drills", data);
	int r = recovery_conf_load(d->cmd.conf_path, &d->conf, e);

	if (r < 0)
		return r;
	if (d->cmd.json)
		d->results = json_array();
	if (d->logs && mkdir(d->logs, 0755) < 0 && errno != EEXIST)
		return error_errno(e, errno, "make the folder %s", d->logs);
	return 0;
}

int cmd_drill(int argc, char *argv[])
{
	static const struct option options[] = { { "list", no_argument, NULL, OPTION_LIST },
						 { "practise", no_argument, NULL, OPTION_PRACTISE },
						 { "log", required_argument, NULL, OPTION_LOG },
						 { "target", required_argument, NULL, OPTION_TARGET },
						 { "host", required_argument, NULL, OPTION_HOST },
						 CMD_OPTIONS_LONG };
	_cleanup_(drills) struct drills d = { .rescue = TEMPDIR_NONE };
	_cleanup_(strlist) struct strlist names = { 0 };
	bool wants_list = false, wants_practice = false;
	int option, exit_code;
	struct error e;

	cmd_begin(&d.cmd, argv[0]);
	while ((option = getopt_long(argc, argv, CMD_OPTIONS_SHORT, options, NULL)) != -1) {
		if (option == OPTION_LIST)
			wants_list = true;
		else if (option == OPTION_PRACTISE)
			wants_practice = true;
		else if (option == OPTION_LOG)
			d.logs = optarg;
		else if (option == OPTION_TARGET)
			d.target = optarg;
		else if (option == OPTION_HOST)
			d.host = optarg;
		else if (!cmd_option(&d.cmd, option, &exit_code))
			return exit_code;
	}
	for (int i = optind; i < argc; i++)
		strlist_add(&names, argv[i]);
	if (wants_list && names.count)
		return cmd_usage(&d.cmd, "unexpected argument '%s'", names.items[0]);
	if (!wants_list && !names.count)
		return cmd_usage(&d.cmd, "which drill? NAME or all; --list shows them");
	if (wants_practice && (names.count != 1 || streq(names.items[0], "all")))
		return cmd_usage(&d.cmd, "--practise takes one drill");
	if (open_drills(&d, &e) < 0)
		return cmd_failed(&d.cmd, &e);
	if (wants_list)
		return list(&d);
	if (wants_practice)
		return practise(&d, names.items[0]);
	if (names.count == 1 && streq(names.items[0], "all")) {
		strlist_free(&names);
		names = (struct strlist) { 0 };
		if (choose_all(&d, &names, &e) < 0)
			return cmd_failed(&d.cmd, &e);
	}
	return run_all(&d, &names);
}
