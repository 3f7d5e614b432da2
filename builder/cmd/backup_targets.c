#include "cmd/backup_targets.h"

#include "base/block.h"
#include "cmd/backup_choice.h"
#include "cmd/cmd.h"
#include "conf/recovery.h"

#include <errno.h>
#include <sys/stat.h>

int backup_agree(const char *text, bool yes, struct error *e)
{
	_cleanup_(strlist) struct strlist all = { 0 };
	int r = 0;

	if (!text)
		return 0;
	recovery_split_targets(text, &all);
	for (size_t i = 0; r == 0 && i < all.count; i++) {
		_cleanup_(free) char *content = NULL, *question = NULL;

		r = target_content(all.items[i], &content, e);
		if (r < 0 || !content || yes)
			continue;
		question = xasprintf("%s holds %s. All of it will be lost. Type 'overwrite' to go on:",
				     all.items[i], content);
		if (!cmd_consent(question, "overwrite"))
			r = error_text(e, ECANCELED,
				       "not confirmed, so nothing was written (--yes does not ask)");
	}
	return r;
}

/* Not into itself. */
static int check_disk(const struct machine *m, const struct target *target, struct report *report,
		      struct error *e)
{
	for (size_t i = 0; i < m->count; i++) {
		const struct device *d = m->devices[i];
		struct stat st;

		if (!backup_is_chosen(d) || !target->disk)
			continue;
		if (d->kind == DEVICE_SUBVOLUME)
			st.st_dev = d->now.devno;
		else if (stat(d->content.mountpoint, &st) < 0)
			return error_errno(e, errno, "look at %s", d->content.mountpoint);
		if (st.st_dev == target->disk)
			return error_text(e, EINVAL,
					  "%s lies on %s, which is to be backed up: choose another disk",
					  target->shown, backup_place(d));
		dev_t disk = block_disk(st.st_dev);

		if (disk && disk == block_disk(target->disk))
			report_warn(report, "%s lies on the same disk as %s, and is lost together with it",
				    target->shown, backup_place(d));
	}
	return 0;
}

/* What is written for sure has to fit. */
static int check_room(const struct target *target, uint64_t total, struct report *report, struct error *e)
{
	enum { best_ratio = 20 }; /* nothing real compresses better as a whole */
	char free_text[SIZE_TEXT_MAX], total_text[SIZE_TEXT_MAX];
	uint64_t room;
	int r = target_room(target, &room, e);

	if (r < 0)
		return r;

	(void)format_size(room, free_text);
	(void)format_size(total, total_text);
	if (room < total / best_ratio)
		return error_text(e, ENOSPC, "%s: %s are free, %s are to be backed up", target->shown,
				  free_text, total_text);
	if (room < total)
		report_warn(report, "%s: %s are free, %s are to be backed up: it has to compress well",
			    target->shown, free_text, total_text);
	return 0;
}

/* Nothing but the backups themselves lies on it. */
static bool has_only_backups(const struct machine *m, const struct device *disk, const struct target *target)
{
	for (size_t i = 0; i < m->count; i++) {
		const struct device *d = m->devices[i];
		bool theirs = d->now.devno == target->disk;

		if (d != disk && d->parent != disk)
			continue;
		if (backup_is_chosen(d) || machine_above(m, d) ||
		    (d->content.kind != CONTENT_NONE && !theirs))
			return false;
	}
	for (size_t i = 0; i < m->boot_entry_count; i++)
		if (m->boot_entries[i].partition->parent == disk)
			return false;
	return !strlist_has(&m->boot_disks, disk->name);
}

static void leave_out(struct machine *m, const struct target *target, struct report *report)
{
	_cleanup_(free) bool *marks = xcalloc(m->count + 1, sizeof(*marks));
	const struct device *disk = NULL;
	dev_t whole = target->disk ? block_disk(target->disk) : 0;

	for (size_t i = 0; whole && i < m->count; i++)
		if (m->devices[i]->kind == DEVICE_DISK && m->devices[i]->now.devno == whole)
			disk = m->devices[i];
	if (!disk || !has_only_backups(m, disk, target))
		return;
	for (size_t i = 0; i < m->count; i++)
		marks[i] = m->devices[i] == disk || m->devices[i]->parent == disk;
	report_info(report, "%s holds the backups and is no part of the machine", disk->name);
	machine_remove(m, marks);
}

int backup_check_targets(const struct machine *m, const struct target *targets, uint64_t total,
			 struct report *report, struct error *e)
{
	int r = 0;

	for (const struct target *t = targets; r == 0 && t; t = t->replica) {
		r = check_disk(m, t, report, e);
		if (r == 0)
			r = check_room(t, total, report, e);
		if (r == -ENOSPC && targets->replica) { /* what fits nowhere else may fit in the others */
			report_warn(report, "%s", e->text);
			r = 0;
		}
	}
	return r;
}

void backup_leave_out(struct machine *m, const struct target *targets, struct report *report)
{
	for (const struct target *t = targets; t; t = t->replica)
		leave_out(m, t, report);
}
