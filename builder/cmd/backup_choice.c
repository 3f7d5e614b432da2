#include "cmd/backup_choice.h"

#include "backup/exclude.h"
#include "backup/set.h"

#include <errno.h>

void backup_choice_free(struct backup_choice *c)
{
	strlist_free(&c->only);
	strlist_free(&c->exclude);
	strlist_free(&c->methods);
	strlist_free(&c->places);
}

/* ---- what a person says ---- */

/* Those of the command line, and recovery.conf's. */
static int take_exclusions(struct backup_choice *c, const struct recovery_conf *conf, struct error *e)
{
	_cleanup_(recovery_conf) struct recovery_conf scratch = { 0 };

	for (size_t i = 0; i < c->exclude.count; i++) {
		const char *p = c->exclude.items[i];

		if (p[strcspn(p, " \t\n")] || recovery_conf_set(&scratch, "backup", "exclude", p, NULL) < 0)
			return error_text(e, EINVAL,
					  "--exclude '%s': expected an absolute path without a '/' at its "
					  "end, or a name, with '?' for a blank",
					  p);
	}
	for (size_t i = 0; i < conf->exclude.count; i++)
		strlist_add_once(&c->exclude, conf->exclude.items[i]);
	return 0;
}

/* Those of the command line, or else recovery.conf's. */
static int take_methods(struct backup_choice *c, const struct recovery_conf *conf, struct error *e)
{
	_cleanup_(recovery_conf) struct recovery_conf scratch = { 0 };
	bool given = c->methods.count > 0;

	for (size_t i = 0; i < c->methods.count; i++)
		if (recovery_conf_set(&scratch, "backup", "method", c->methods.items[i], NULL) < 0)
			return error_text(e, EINVAL, "--method '%s': expected archive, dump, xfsdump or send",
					  c->methods.items[i]);
	for (size_t i = 0; !given && i < conf->methods.count; i++)
		strlist_add(&c->methods, conf->methods.items[i]);
	return 0;
}

int backup_choice_complete(struct backup_choice *c, const struct recovery_conf *conf, struct error *e)
{
	int r = take_exclusions(c, conf, e);

	return r < 0 ? r : take_methods(c, conf, e);
}

bool backup_sends_snapshots(const struct backup_choice *c, bool live)
{
	for (size_t i = 0; i < c->exclude.count; i++)
		if (!strchr(c->exclude.items[i], '/'))
			return false;
	for (size_t i = 0; i < c->methods.count && !live; i++) {
		if (streq(c->methods.items[i], "send"))
			return true;
		if (set_method_suits(c->methods.items[i], "btrfs"))
			return false;
	}
	return false;
}

/* ---- which file systems ---- */

bool backup_is_chosen(const struct device *d)
{
	return d->content.stream && d->content.method &&
	       (d->content.mountpoint || d->kind == DEVICE_SUBVOLUME);
}

const char *backup_place(const struct device *d)
{
	return d->content.mountpoint ? d->content.mountpoint : d->name;
}

/* All subvolumes of a btrfs share what is counted of the whole: it is the top level's. */
static uint64_t used(const struct device *d)
{
	if (d->kind != DEVICE_SUBVOLUME)
		return d->content.used;
	return streq(d->subvolume.path, "/") ? d->parent->content.used : 0;
}

int backup_choose(struct backup_choice *c, struct machine *m, struct error *e)
{
	_cleanup_(strlist) struct strlist known = { 0 };

	for (size_t i = 0; i < m->count; i++) {
		struct device *d = m->devices[i];

		if (!backup_is_chosen(d))
			continue;
		strlist_add(&known, backup_place(d));
		if (c->only.count && !strlist_has(&c->only, backup_place(d))) {
			free(TAKE_PTR(d->content.stream));
			free(TAKE_PTR(d->content.method));
			continue;
		}
		c->total += used(d);
		c->count++;
	}
	_cleanup_(free) char *names = strlist_join(&known, ", ");

	for (size_t i = 0; i < c->only.count; i++)
		if (!strlist_has(&known, c->only.items[i]))
			return error_text(e, ENOENT, "--only %s: no such file system; there are: %s",
					  c->only.items[i], names);
	return c->count ? 0 : error_text(e, ENOENT, "this machine has no mounted file system to back up");
}

void backup_exclusions(const struct backup_choice *c, const struct device *d, struct strlist *ret)
{
	exclude_concerning(&c->exclude, d->content.mountpoint, &c->places, ret);
}

/* ---- by which method ---- */

/* The first of the preferred ones that can save it; else it keeps its own. dump is one of its own only: whether it can read a
 * file system is the survey's to say. */
static void choose_method(const struct backup_choice *c, struct device *d)
{
	for (size_t i = 0; i < c->methods.count; i++) {
		const char *method = c->methods.items[i];

		if (streq(method, d->content.method))
			return;
		/* into the top level of a btrfs nothing can be received */
		if (set_method_suits(method, d->content.type) &&
		    !(streq(method, "send") &&
		      (d->kind != DEVICE_SUBVOLUME || streq(d->subvolume.path, "/")))) {
			free(d->content.method);
			d->content.method = xstrdup(method);
			return;
		}
	}
}

/* dump leaves out inodes, but a file may have other names, and be renamed between two levels: where something is to be
 * left out, the file system is archived. */
void backup_choose_methods(struct backup_choice *c, struct machine *m, struct report *report)
{
	for (size_t i = 0; i < m->count; i++)
		if (m->devices[i]->content.mountpoint)
			strlist_add(&c->places, m->devices[i]->content.mountpoint);
	for (size_t i = 0; i < m->count; i++) {
		_cleanup_(strlist) struct strlist patterns = { 0 };
		struct device *d = m->devices[i];

		if (backup_is_chosen(d)) {
			choose_method(c, d);
			backup_exclusions(c, d, &patterns);
		}
		if (!patterns.count || set_method_excludes(d->content.method))
			continue;
		_cleanup_(free) char *shown = strlist_join(&patterns, " ");

		report_info(report, "%s: archived, as %s cannot leave out %s", backup_place(d),
			    d->content.method, shown);
		free(d->content.method);
		d->content.method = xstrdup("archive");
	}
}

/* ---- what shares data ---- */

bool backup_is_sent(const struct device *d)
{
	return d->kind == DEVICE_SUBVOLUME && backup_is_chosen(d) && streq(d->content.method, "send");
}

static bool is_on_path(const struct device *d, const struct device *parent, const char *path)
{
	return d->kind == DEVICE_SUBVOLUME && d->parent == parent && streq(d->subvolume.path, path);
}

/* What it shares data with for sure: what it is a snapshot of, or else an earlier one that is a snapshot of the same. */
static const struct device *find_shared(const struct machine *m, const struct device *d)
{
	const char *of = d->subvolume.snapshot_of;

	for (size_t i = 0; of && i < m->count; i++)
		if (backup_is_sent(m->devices[i]) && is_on_path(m->devices[i], d->parent, of))
			return m->devices[i];
	for (size_t i = 0; of && i < m->count && m->devices[i] != d; i++) {
		const struct device *other = m->devices[i];

		if (backup_is_sent(other) && other->parent == d->parent && other->subvolume.snapshot_of &&
		    streq(other->subvolume.snapshot_of, of))
			return other;
	}
	return NULL;
}

/* Nothing but what is read-only can be sent: what has no snapshot is archived after all. */
void backup_settle_methods(struct machine *m, const struct snapshots *snapshots, struct report *report)
{
	for (size_t i = 0; i < m->count; i++) {
		struct device *d = m->devices[i];

		if (!backup_is_sent(d) || d->subvolume.read_only || snapshots_find(snapshots, d))
			continue;
		report_warn(report, "%s: archived, as without a snapshot it cannot be sent", backup_place(d));
		free(d->content.method);
		d->content.method = xstrdup("archive");
	}
	for (size_t i = 0; i < m->count; i++) {
		struct device *d = m->devices[i];
		const struct device *parent = backup_is_sent(d) ? find_shared(m, d) : NULL;

		if (parent)
			d->subvolume.send_parent = xstrdup(parent->subvolume.path);
	}
}

const struct device *backup_send_parent(const struct machine *m, const struct device *d)
{
	const char *path = d->subvolume.send_parent;

	for (size_t i = 0; path && i < m->count; i++)
		if (is_on_path(m->devices[i], d->parent, path))
			return m->devices[i];
	return NULL;
}
