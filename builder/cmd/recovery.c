#include "cmd/recovery.h"

#include "base/block.h"
#include "base/fs.h"
#include "cmd/target_arg.h"
#include "machine/journal.h"
#include "machine/layers.h"
#include "machine/machine_conf.h"
#include "machine/recovered.h"
#include "machine/survey.h"
#include "machine/try.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { max_machine_conf = 1 << 20 };

void recovery_free(struct recovery *r)
{
	set_close(r->set);
	identity_free(&r->identity);
	target_close(&r->target);
	recovery_conf_free(&r->conf);
	strlist_free(&r->map);
	strlist_free(&r->grow);
}

bool recovery_option(struct recovery *r, int option)
{
	switch (option) {
	case RECOVERY_HOST:
		r->host = optarg;
		return true;
	case RECOVERY_SET:
		r->set_name = optarg;
		return true;
	case RECOVERY_MAP:
		strlist_add(&r->map, optarg);
		return true;
	case RECOVERY_GROW:
		strlist_add(&r->grow, optarg);
		return true;
	case RECOVERY_MACHINE:
		r->machine_file = optarg;
		return true;
	case RECOVERY_UNATTENDED:
		r->unattended = true;
		return true;
	default:
		return false;
	}
}

int recovery_open(struct recovery *r, struct cmd *c, struct error *e)
{
	int code = recovery_conf_load(c->conf_path, &r->conf, e);

	if (code < 0)
		return code;
	identity_configure(&r->identity, &r->conf);
	if (!r->url && !r->conf.target && r->machine_file)
		return 0; /* an edited machine.conf can be planned without a set */
	code = cmd_target_open(c, &r->conf, r->url, TARGET_READ, &r->target, e);
	return code < 0 ? code : set_open(&r->target, r->host, r->set_name, &r->set, &c->report, e);
}

int recovery_unlock(struct recovery *r, struct cmd *c, struct error *e)
{
	return r->set ? identity_give(&r->identity, r->set, !r->unattended && !c->json, &c->report, e) : 0;
}

/* What machine.conf is called in messages. The caller frees. */
static char *machine_shown(const struct recovery *r)
{
	return r->machine_file ? xstrdup(r->machine_file) : xasprintf("%s/machine.conf", set_shown(r->set));
}

static int read_machine(struct recovery *r, struct machine *ret, struct report *report, struct error *e)
{
	_cleanup_(free) char *text = NULL, *shown = machine_shown(r);
	int code;

	if (r->machine_file) {
		code = read_file_at(AT_FDCWD, r->machine_file, max_machine_conf, &text, NULL, e);
	} else {
		code = set_machine_conf(r->set, &text, report, e);
	}
	return code < 0 ? code : machine_conf_parse(shown, text, ret, e);
}

/* A file of another machine may name the same streams, and would have its disks made. */
static int check_host(struct recovery *r, const struct machine *m, struct report *report, struct error *e)
{
	_cleanup_(machine) struct machine own = { 0 };
	_cleanup_(free) char *text = NULL;
	struct error ignored; /* a set whose own one is of no use is why another is given */

	if (!r->set || !r->machine_file || !m->hostname ||
	    set_machine_conf(r->set, &text, report, &ignored) < 0 ||
	    machine_conf_parse("machine.conf", text, &own, &ignored) < 0 || !own.hostname ||
	    streq(own.hostname, m->hostname))
		return 0;
	return error_text(
		e, EINVAL,
		"%s:%u: it describes the machine '%s', and %s is a backup of '%s'; expected hostname = %s",
		r->machine_file, m->hostname_line, m->hostname, set_shown(r->set), own.hostname,
		own.hostname);
}

/* A machine.conf may have been edited: what it wants restored must not turn out to be missing when the disks
 * are empty already. */
static int check_streams(const struct recovery *r, const struct machine *m, struct error *e)
{
	_cleanup_(free) char *shown = r->set ? machine_shown(r) : NULL;
	int code = 0;

	for (size_t i = 0; r->set && i < m->count && code == 0; i++) {
		const struct content *c = &m->devices[i]->content;

		if (c->stream)
			code = set_check_stream(r->set, c->stream, c->method, e);
		if (code < 0)
			error_prefix(e, "%s:%u: restore %s", shown, c->line, m->devices[i]->name);
	}
	return code;
}

/* With a number, as names are long and look alike. */
static int choose_disk(void *user, const struct device *old, const struct device *const candidates[],
		       size_t count, struct error *e)
{
	_cleanup_(free) char *from = disk_describe(old), *question = NULL;
	_cleanup_(strbuf) struct strbuf list = { 0 };
	char line[32];
	uint64_t number;

	(void)user; /* the terminal is everybody's */
	for (size_t i = 0; i < count; i++) {
		_cleanup_(free) char *shown = disk_describe(candidates[i]);

		strbuf_printf(&list, "  %zu  %s: %s\n", i + 1, shown,
			      candidates[i]->now.holds ? candidates[i]->now.holds : "blank");
	}
	question = xasprintf("More than one disk could take the place of %s:\n%sNumber of the one that does "
			     "(1 to %zu, or Enter for none):",
			     from, list.data, count);
	do
		if (!cmd_ask(question, line, sizeof(line)) || !*line)
			return error_text(e, ECANCELED,
					  "no disk was chosen for %s (--map %s=NAME does so too)", from,
					  old->name);
	while (parse_u64(line, &number) < 0 || number < 1 || number > count);
	return (int)number - 1;
}

/* The disks that hold the backup, in any of its places. The caller frees the array. */
static size_t list_backup_disks(const struct recovery *r, dev_t **ret)
{
	size_t count = 0;

	for (const struct target *t = &r->target; t; t = t->replica)
		if (t->disk)
			block_disks(t->disk, ret, &count);
	return count;
}

char *recovery_source(const struct recovery *r)
{
	_cleanup_(free) char *set = r->set ? set_identity(r->set) : xstrdup("no set");
	_cleanup_(free) char *maps = strlist_join(&r->map, " ");

	return xasprintf("%s %s", set, maps); /* disks that are chosen differently are another recovery too */
}

/* `begun`: the disks of a recovery that goes on, or NULL. */
static int make_plan(struct recovery *r, struct cmd *c, const struct strlist *begun, struct plan *ret,
		     struct error *e)
{
	_cleanup_(machine) struct machine machine = { 0 }, present = { 0 };
	_cleanup_(free) dev_t *backups = NULL;
	size_t backup_count = list_backup_disks(r, &backups);
	const struct plan_options options = {
		.map = &r->map,
		.begun = begun,
		.grow = &r->grow,
		.forbidden = backups,
		.forbidden_count = backup_count,
		.unattended = r->unattended,
		.choose = isatty(STDIN_FILENO) && !r->unattended && !r->yes && !c->json ? choose_disk : NULL,
	};
	int code = read_machine(r, &machine, &c->report, e);

	if (code == 0)
		code = check_host(r, &machine, &c->report, e);
	if (code == 0)
		code = check_streams(r, &machine, e);
	if (code == 0)
		code = survey_disks(&present, &c->report, e);
	return code < 0 ? code : plan_make(&machine, &present, &options, ret, e);
}

/* What a killed recovery left mounted and running. */
static int clear_leftovers(struct recovery *r, struct cmd *c, struct error *e)
{
	_cleanup_(machine) struct machine machine = { 0 };
	int code = recovered_clear(r->root, e);

	if (code == 0)
		code = read_machine(r, &machine, &c->report, e);
	for (size_t i = machine.count; i > 0 && code == 0; i--)
		code = layer_clear(machine.devices[i - 1], e);
	return code;
}

/* The plan of what was begun, with what is done marked. A failure only means that it cannot go on. */
static int continue_plan(struct recovery *r, struct cmd *c, const struct journal *j, struct plan *ret,
			 struct error *e)
{
	_cleanup_(plan) struct plan p = { 0 };
	_cleanup_(free) char *source = recovery_source(r);
	int code = clear_leftovers(r, c, e);

	if (code == 0)
		code = make_plan(r, c, &j->map, &p, e);
	if (code == 0)
		code = journal_continue(j, source, &p, e);
	if (code < 0)
		return code;
	*ret = p;
	p = (struct plan) { 0 };
	return 0;
}

static int plan_or_continue(struct recovery *r, struct cmd *c, struct plan *ret, struct error *e)
{
	_cleanup_(journal) struct journal j = { 0 };
	struct error why;

	if (r->journal && journal_read(r->journal, &j, &why) < 0)
		report_warn(&c->report, "what was begun here is not continued: %s", why.text);
	if (j.plan) {
		if (continue_plan(r, c, &j, ret, &why) == 0)
			return 0;
		report_warn(&c->report, "what was begun here is not continued, it starts over: %s", why.text);
	}
	return make_plan(r, c, NULL, ret, e);
}

int recovery_plan(struct recovery *r, struct cmd *c, struct plan *ret, struct error *e)
{
	_cleanup_(plan) struct plan p = { 0 };
	_cleanup_(free) char *shown = machine_shown(r);
	int code = plan_or_continue(r, c, &p, e);

	if (code == 0 && !p.done)
		code = try_machine(&p.machine, shown, &c->report, e);
	if (code < 0)
		return code;
	*ret = p;
	p = (struct plan) { 0 };
	return 0;
}
