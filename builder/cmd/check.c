/* lifeboat check: is the stick still the one that this machine needs, is there a backup that is young enough, and are both
 * proven? */
#include "cmd/commands.h"

#include "backup/set.h"
#include "cmd/differences.h"
#include "cmd/proofs.h"
#include "cmd/record.h"
#include "cmd/target_arg.h"
#include "image/manifest.h"
#include "machine/machine_conf.h"
#include "machine/survey.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <sys/utsname.h>
#include <time.h>

/* Would the image be made of the same? */
static int check_image(struct cmd *c, const struct recovery_conf *conf, const struct record *r,
		       struct strlist *ret, struct error *e)
{
	_cleanup_(image_draft) struct image_draft *draft = NULL;
	_cleanup_(strbuf) struct strbuf now = { 0 };
	_cleanup_(strlist) struct strlist profiles = { 0 };
	char hex[DIGEST_HEX_SIZE];

	strlist_add_words(&profiles, r->profiles);
	const struct image_request request = { .conf = conf,
					       .profiles = &profiles,
					       .kernel = *r->kernel_wanted ? r->kernel_wanted : NULL,
					       .root = "/",
					       .created = r->created };
	int code = record_conf_sum(conf, hex, e);

	if (code == 0)
		code = image_draft(&request, &draft, &c->report, e);
	if (code == 0)
		code = image_manifest(draft, &now, e);
	if (code < 0)
		return code;
	if (!streq(hex, r->conf))
		strlist_addf(ret, "%s has changed", conf->path ? conf->path : "recovery.conf");
	bool same_kernel = streq(r->kernel, image_kernel_version(draft));

	if (!same_kernel)
		strlist_addf(ret, "the kernel was %s, is %s", r->kernel, image_kernel_version(draft));
	/* thousands of lines that all say the same */
	differences_of_files(r->files, now.data, same_kernel ? NULL : "usr/lib/modules/", ret);
	return 0;
}

static int check_machine(struct cmd *c, const struct recovery_conf *conf, const struct record *r,
			 struct strlist *ret, struct error *e)
{
	const struct survey_options options = { .leave_out = &conf->leave_out };
	_cleanup_(machine) struct machine m = { 0 };
	_cleanup_(strbuf) struct strbuf now = { 0 };

	if (!*r->machine) {
		report_info(&c->report,
			    "the disks are not compared: they were not recorded when the medium was made");
		return 0;
	}
	int code = survey(&m, &options, &c->report, e);

	if (code == 0)
		code = machine_conf_format(&m, &now, e);
	return code < 0 ? code : differences_of_machines(r->machine, now.data, ret, e);
}

/* A set's name begins with when it was made: 20260131T235959Z. */
static bool set_time(const char *name, time_t *ret)
{
	struct tm tm = { 0 };
	const char *end = strptime(name, "%Y%m%dT%H%M%SZ", &tm);

	*ret = end ? timegm(&tm) : 0;
	return end != NULL;
}

static void check_age(const struct recovery_conf *conf, const struct target *target,
		      const struct set_list *sets, const char *host, struct strlist *ret)
{
	time_t newest = 0, one, now = time(NULL);

	for (size_t i = 0; i < sets->count; i++)
		if (sets->items[i].complete && streq(sets->items[i].host, host) &&
		    set_time(sets->items[i].name, &one) && one > newest)
			newest = one;
	if (!newest)
		strlist_addf(ret, "%s holds no complete backup of %s", target->shown, host);
	else if ((uint64_t)(now - newest) > (uint64_t)conf->max_age * 3600 && now > newest)
		strlist_addf(ret, "the last backup is %lld hours old, more than max-age = %u",
			     (long long)((now - newest) / 3600), conf->max_age);
}

static int check_backups(struct cmd *c, const struct recovery_conf *conf, const struct record *r,
			 struct strlist *ret, struct error *e)
{
	_cleanup_(target) struct target target = { .dirfd = -1 };
	_cleanup_(set_list) struct set_list sets = { 0 };
	struct utsname host;
	int code = 0;

	if (uname(&host) < 0)
		return error_errno(e, errno, "find this machine's name");
	if (conf->max_age || conf->prove_every) {
		code = cmd_target_open(c, conf, NULL, false, &target, e);
		if (code == 0)
			code = set_list(&target, &sets, e);
	}
	if (code < 0)
		return code;
	if (conf->max_age)
		check_age(conf, &target, &sets, host.nodename, ret);
	const struct proofs_question question = { .folder = record_folder(),
						  .host = host.nodename,
						  .every = conf->prove_every,
						  .now = time(NULL),
						  .medium = r->medium,
						  .medium_created = r->created,
						  .sets = &sets };
	return proofs_check(&question, ret, e);
}

static int print_json(struct cmd *c, const struct record *r, const struct strlist *differences)
{
	json_t *list = json_array();
	struct error e;

	for (size_t i = 0; i < differences->count; i++)
		(void)json_array_append_new(list, json_string(differences->items[i]));
	bool whole = json_array_size(list) == differences->count;
	/* A member that could not be made makes json_pack fail, and with it json_dumpf. */
	json_t *all =
		json_pack("{s:b, s:s, s:I, s:s, s:o}", "same", differences->count == 0, "medium", r->medium,
			  "created", (json_int_t)r->created, "kernel", r->kernel, "differences", list);
	int failed = !whole || json_dumpf(all, stdout, JSON_INDENT(2)) != 0;

	json_decref(all);
	if (failed) {
		(void)error_errno(&e, EIO, "write the differences as JSON");
		return cmd_failed(c, &e);
	}
	printf("\n");
	return cmd_done(c);
}

static int check(struct cmd *c)
{
	_cleanup_(recovery_conf) struct recovery_conf conf = { 0 };
	_cleanup_(record) struct record record = { 0 };
	_cleanup_(strlist) struct strlist differences = { 0 };
	struct error e;

	if (recovery_conf_load(c->conf_path, &conf, &e) < 0 || record_load(&record, &e) < 0 ||
	    check_image(c, &conf, &record, &differences, &e) < 0 ||
	    check_machine(c, &conf, &record, &differences, &e) < 0 ||
	    check_backups(c, &conf, &record, &differences, &e) < 0)
		return cmd_failed(c, &e);
	int exit_code;

	if (c->json) {
		exit_code = print_json(c, &record, &differences);
	} else {
		for (size_t i = 0; i < differences.count; i++)
			printf("%s\n", differences.items[i]);
		exit_code = cmd_done(c);
	}
	if (exit_code == EXIT_DONE && !differences.count)
		report_info(&c->report, "nothing has changed since %s was made", record.medium);
	return exit_code == EXIT_DONE && differences.count ? EXIT_FAILED : exit_code;
}

int cmd_check(int argc, char *argv[])
{
	static const struct option options[] = { CMD_OPTIONS_LONG };
	_cleanup_(cmd) struct cmd c;
	int option, exit_code;

	cmd_begin(&c, argv[0]);
	while ((option = getopt_long(argc, argv, CMD_OPTIONS_SHORT, options, NULL)) != -1)
		if (!cmd_option(&c, option, &exit_code))
			return exit_code;
	if (c.profiles.count)
		return cmd_usage(&c, "-p was decided when the medium was made");
	if (optind < argc)
		return cmd_usage(&c, "unexpected argument '%s'", argv[optind]);
	return check(&c);
}
