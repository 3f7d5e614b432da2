/* lifeboat recover: verify the set, show the plan, ask, make the machine again. */
#include "cmd/cmd.h"
#include "cmd/commands.h"
#include "cmd/files.h"
#include "cmd/keys.h"
#include "cmd/recovery.h"
#include "cmd/show.h"
#include "machine/apply.h"
#include "machine/journal.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define RECOVERY_ROOT "/mnt/hd"

struct session {
	struct cmd *c;
	struct recovery *r;
	size_t done, steps; /* of the plan */
	const char *key_file; /* for encrypted devices; NULL: the person is asked */
	bool written; /* disks are no longer what they were */
	bool over; /* there is no journal any more: another run begins at the beginning */
	char *source; /* recovery_source() */
};

static void session_end(struct session *s)
{
	free(s->source);
}
DEFINE_CLEANUP(session, struct session, session_end)

static int consent(void *user, const struct plan *plan, struct error *e)
{
	struct session *s = user;
	_cleanup_(strbuf) struct strbuf names = { 0 };

	if (s->r->yes || s->r->unattended)
		return 0;
	for (size_t i = 0; i < plan->mapping_count; i++) {
		_cleanup_(free) char *shown = disk_describe(plan->mappings[i].to);

		strbuf_printf(&names, "%s%s", i ? ", " : "", shown);
	}
	_cleanup_(free) char *question =
		plan->done ? xasprintf("The recovery onto %s goes on behind step %zu of %zu. Type 'yes':",
				       names.data, plan->done, plan->step_count)
			   : xasprintf("Everything on %s will be lost. Type 'yes' to go on:", names.data);

	if (cmd_consent(question, "yes"))
		return 0;
	return error_text(e, ECANCELED, "not confirmed, so nothing was written (--yes does not ask)");
}

static int note_done(void *user, const struct plan *plan, size_t count, struct error *e)
{
	struct session *s = user;

	s->done = count;
	s->steps = plan->step_count;
	return journal_write(s->r->journal, plan, s->source, count, e);
}

static int restore(void *user, const struct device *device, const char *folder, struct report *report,
		   struct error *e)
{
	struct session *s = user;
	const struct content *content = &device->content;

	return set_restore_stream(s->r->set, content->stream, content->method, folder, report, e);
}

static int receive(void *user, const struct device *device, const char *folder, struct report *report,
		   struct error *e)
{
	struct session *s = user;
	const struct content *content = &device->content;

	return set_receive_stream(s->r->set, content->stream, content->method, folder, report, e);
}

static double seconds_since(const struct timespec *begun)
{
	struct timespec now;

	if (clock_gettime(CLOCK_MONOTONIC, &now) < 0)
		return 0; /* only shown */
	return (double)(now.tv_sec - begun->tv_sec) + (double)(now.tv_nsec - begun->tv_nsec) / 1e9;
}

/* What will not be there. */
static void tell_exclusions(const struct session *s)
{
	_cleanup_(strlist) struct strlist patterns = { 0 };

	set_exclusions(s->r->set, &patterns);
	_cleanup_(free) char *shown = strlist_join(&patterns, " ");

	if (patterns.count)
		report_info(&s->c->report, "the set holds nothing of %s, which was excluded from it", shown);
}

static int verify(struct session *s, struct error *e)
{
	if (!s->r->set)
		return 0; /* disks and empty file systems only */
	int code = 0;

	tell_exclusions(s);
	for (struct set *set = s->r->set; set && code == 0; set = set_base(set)) {
		report_info(&s->c->report, "set %s on %s", set_shown(set), s->r->target.shown);
		code = set_verify(set, &s->c->report, e);
	}
	if (code == 0)
		report_info(&s->c->report, "every byte of the set is what was written");
	return code;
}

/* Without a set nothing can be restored, and that must not turn out in the middle. */
static int check_no_streams(const struct machine *m, struct error *e)
{
	for (size_t i = 0; i < m->count; i++)
		if (m->devices[i]->content.stream)
			return error_text(
				e, EINVAL,
				"no TARGET to restore %s from (without 'stream' and 'method' it would "
				"be made empty)",
				m->devices[i]->name);
	return 0;
}

/* Nothing is done that was not shown. */
static int show(struct session *s, const struct plan *p, struct error *e)
{
	bool shown;

	if (s->c->json) {
		shown = show_plan_json(s->c, p) == EXIT_DONE;
	} else {
		show_plan(p, stdout);
		shown = fflush(stdout) == 0 && !ferror(stdout);
	}
	return shown ? 0
		     : error_text(e, EIO,
				  "the plan cannot be shown (standard output), so nothing was written");
}

/* What was restored before is there, or is proven not to be: the set was verified for it. The seconds that this takes are
 * added to `verified`. */
static int plan_and_verify(struct session *s, struct plan *ret, double *verified, struct error *e)
{
	struct timespec begun = { 0 };
	int code = recovery_plan(s->r, s->c, ret, e);

	if (code == 0 && !s->r->set)
		code = check_no_streams(&ret->machine, e);
	(void)clock_gettime(CLOCK_MONOTONIC, &begun); /* only shown */
	if (code == 0 && !ret->done)
		code = verify(s, e);
	*verified += seconds_since(&begun);
	return code;
}

/* From the plan to the recovered machine. `verified`: the seconds that it took to verify the set are added. */
static int attempt(struct session *s, double *verified, struct error *e)
{
	const struct apply_options options = { .key_file = s->key_file,
					       .root = RECOVERY_ROOT,
					       .restore = restore,
					       .receive = receive,
					       .consent = consent,
					       .done = note_done,
					       .user = s,
					       .written = &s->written };
	_cleanup_(plan) struct plan p = { 0 };
	int code = plan_and_verify(s, &p, verified, e);

	if (code == 0)
		code = show(s, &p, e);
	if (code < 0)
		return code;
	/* what goes on has opened them before, or will not have written much when it cannot */
	code = keys_check(p.done ? NULL : s->r->set, &p.machine, s->key_file,
			  s->r->unattended || !isatty(STDIN_FILENO), &s->c->report, e);
	if (code < 0)
		return code;
	code = plan_apply(&p, &options, &s->c->report, e);
	/* What was done before is no longer there, or what was written last did not come to the disk: the next run
	 * begins at the beginning. */
	s->over = code == 0 || (p.done && (code == -ESTALE || code == -ENOTRECOVERABLE)) ||
		  s->done + 1 == p.step_count;
	if (s->over)
		journal_remove(s->r->journal);
	return code;
}

static int run(struct session *s, struct error *e)
{
	_cleanup_(fd) int lock = -1;
	struct timespec begun = { 0 };
	double verified = 0;
	int code = journal_lock(s->r->journal, &lock, e);

	(void)clock_gettime(CLOCK_MONOTONIC, &begun); /* only shown */
	if (code == 0)
		code = recovery_open(s->r, s->c, e);
	if (code == 0)
		code = recovery_unlock(s->r, s->c, e);
	if (code < 0)
		return code;
	s->source = recovery_source(s->r);
	code = attempt(s, &verified, e);
	/* An array that lost a member when the recovery failed. All of it is this recovery's own, so nobody has to say so
	 * again; of what somebody else has made meanwhile (-ESTALE) that is not known. */
	if (code == -ENOTRECOVERABLE && s->over) {
		report_warn(&s->c->report, "it starts over: %s", e->text);
		s->done = 0;
		code = attempt(s, &verified, e);
	}
	if (code < 0)
		return code;
	report_info(&s->c->report,
		    "recovered in %.1f s, of which %.1f s to verify the set: remove the medium and reboot",
		    seconds_since(&begun), verified);
	return 0;
}

int cmd_recover(int argc, char *argv[])
{
	enum {
		OPTION_YES = RECOVERY_FIRST_OWN,
		OPTION_FILES,
		OPTION_LIST,
		OPTION_INTO,
		OPTION_KEY_FILE,
		OPTION_IDENTITY
	};
	static const struct option options[] = { { "yes", no_argument, NULL, OPTION_YES },
						 { "files", no_argument, NULL, OPTION_FILES },
						 { "list", no_argument, NULL, OPTION_LIST },
						 { "into", required_argument, NULL, OPTION_INTO },
						 { "key-file", required_argument, NULL, OPTION_KEY_FILE },
						 { "identity", required_argument, NULL, OPTION_IDENTITY },
						 RECOVERY_OPTIONS_LONG,
						 CMD_OPTIONS_LONG };
	_cleanup_(cmd) struct cmd c;
	_cleanup_(recovery) struct recovery r = RECOVERY_NONE;
	_cleanup_(session) struct session s = { .c = &c, .r = &r };
	struct files_options files = { 0 };
	bool only_files = false;
	struct error e;
	int option, exit_code;

	cmd_begin(&c, "recover");
	r.journal = JOURNAL_FOLDER;
	r.root = RECOVERY_ROOT;
	while ((option = getopt_long(argc, argv, CMD_OPTIONS_SHORT, options, NULL)) >= 0)
		if (option == OPTION_YES)
			r.yes = true;
		else if (option == OPTION_FILES)
			only_files = true;
		else if (option == OPTION_LIST)
			files.list = true;
		else if (option == OPTION_INTO)
			files.into = optarg;
		else if (option == OPTION_KEY_FILE)
			s.key_file = optarg;
		else if (option == OPTION_IDENTITY)
			r.identity.path = optarg;
		else if (!recovery_option(&r, option) && !cmd_option(&c, option, &exit_code))
			return exit_code;
	/* a PATH is no URL: recovery.conf's target is meant */
	if (optind < argc && (!only_files || strstr(argv[optind], "://")))
		r.url = argv[optind++];
	if (only_files) {
		files.yes = r.yes;
		files.patterns = argv + optind;
		return cmd_files(&c, &r, &files);
	}
	if (files.list || files.into)
		return cmd_usage(&c, "--list and --into need --files");
	if (optind < argc)
		return cmd_usage(&c, "unexpected argument '%s'", argv[optind]);
	if (c.json && !r.yes && !r.unattended)
		return cmd_usage(&c, "--json needs --yes or --unattended");
	if (run(&s, &e) == 0)
		return cmd_done(&c);
	exit_code = cmd_failed(&c, &e);
	if (s.written)
		report_info(
			&c.report,
			"%zu of %zu steps are done, the others are not: correct the reason and run 'lifeboat "
			"recover' again; %s",
			s.done, s.steps,
			s.over ? "it begins at the beginning, as what was done before cannot be built on"
			       : "until this computer is restarted it goes on from there");
	return exit_code;
}
