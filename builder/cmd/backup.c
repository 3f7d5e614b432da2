/* lifeboat backup: survey, choose, write a set. */
#include "cmd/commands.h"

#include "backup/exclude.h"
#include "backup/set.h"
#include "base/block.h"
#include "cmd/by_hand.h"
#include "cmd/identity.h"
#include "cmd/prune.h"
#include "cmd/record.h"
#include "cmd/target_arg.h"
#include "machine/btrfs.h"
#include "machine/machine_conf.h"
#include "machine/snapshot.h"
#include "machine/survey.h"

#include <errno.h>
#include <jansson.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>

#include <linux/btrfs_tree.h>

enum {
	OPTION_ONLY = CMD_FIRST_OWN,
	OPTION_EXCLUDE,
	OPTION_IDENTITY,
	OPTION_LEVEL,
	OPTION_METHOD,
	OPTION_OVERWRITE,
	OPTION_YES,
	OPTION_NO_SNAPSHOTS
};

struct job {
	struct cmd *c;
	struct recovery_conf conf;
	struct machine machine;
	struct target target;
	bool overwrite, yes; /* what is on a raw device may go; nobody is asked */
	bool live; /* without snapshots */
	struct snapshots snapshots;
	struct strlist only; /* mount points; empty: all */
	struct strlist exclude; /* patterns of what is left out */
	struct strlist methods; /* preferred */
	bool options_method; /* --method was given */
	struct identity identity; /* for the set that a level goes on from */
	struct strlist places; /* where file systems are mounted */
	uint64_t total; /* bytes that the chosen file systems hold */
	size_t count; /* of them */
	unsigned level;
	struct timespec begun;
};

static void job_free(struct job *j)
{
	recovery_conf_free(&j->conf);
	machine_free(&j->machine);
	target_close(&j->target);
	snapshots_drop(&j->snapshots);
	strlist_free(&j->only);
	identity_free(&j->identity);
	strlist_free(&j->exclude);
	strlist_free(&j->methods);
	strlist_free(&j->places);
}
DEFINE_CLEANUP(job, struct job, job_free)

static bool chosen(const struct device *d)
{
	return d->content.stream && d->content.method &&
	       (d->content.mountpoint || d->kind == DEVICE_SUBVOLUME);
}

/* What --only and messages call it: a subvolume need not be mounted by itself. */
static const char *place(const struct device *d)
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

/* What is not wanted gets no stream, in machine.conf too. */
static int choose(struct job *j, struct error *e)
{
	_cleanup_(strlist) struct strlist known = { 0 };

	for (size_t i = 0; i < j->machine.count; i++) {
		struct device *d = j->machine.devices[i];

		if (!chosen(d))
			continue;
		strlist_add(&known, place(d));
		if (j->only.count && !strlist_has(&j->only, place(d))) {
			free(TAKE_PTR(d->content.stream));
			free(TAKE_PTR(d->content.method));
			continue;
		}
		j->total += used(d);
		j->count++;
	}
	_cleanup_(free) char *names = strlist_join(&known, ", ");

	for (size_t i = 0; i < j->only.count; i++)
		if (!strlist_has(&known, j->only.items[i]))
			return error_text(e, ENOENT, "--only %s: no such file system; there are: %s",
					  j->only.items[i], names);
	return j->count ? 0 : error_text(e, ENOENT, "this machine has no mounted file system to back up");
}

static void concerning(const struct job *j, const struct device *d, struct strlist *ret)
{
	exclude_concerning(&j->exclude, d->content.mountpoint, &j->places, ret);
}

/* The first of the preferred ones that can save it; else it keeps its own. dump is one of its own only: whether it can read a
 * file system is the survey's to say. */
static void choose_method(struct job *j, struct device *d)
{
	for (size_t i = 0; i < j->methods.count; i++) {
		const char *method = j->methods.items[i];

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
static void choose_methods(struct job *j)
{
	for (size_t i = 0; i < j->machine.count; i++)
		if (j->machine.devices[i]->content.mountpoint)
			strlist_add(&j->places, j->machine.devices[i]->content.mountpoint);
	for (size_t i = 0; i < j->machine.count; i++) {
		_cleanup_(strlist) struct strlist patterns = { 0 };
		struct device *d = j->machine.devices[i];

		if (chosen(d)) {
			choose_method(j, d);
			concerning(j, d, &patterns);
		}
		if (!patterns.count || set_method_excludes(d->content.method))
			continue;
		_cleanup_(free) char *shown = strlist_join(&patterns, " ");

		report_info(&j->c->report, "%s: archived, as %s cannot leave out %s", place(d),
			    d->content.method, shown);
		free(d->content.method);
		d->content.method = xstrdup("archive");
	}
}

/* Those of the command line, and recovery.conf's. */
static int take_exclusions(struct job *j, struct error *e)
{
	_cleanup_(recovery_conf) struct recovery_conf scratch = { 0 };

	for (size_t i = 0; i < j->exclude.count; i++) {
		const char *p = j->exclude.items[i];

		if (p[strcspn(p, " \t\n")] || recovery_conf_set(&scratch, "backup", "exclude", p, NULL) < 0)
			return error_text(e, EINVAL,
					  "--exclude '%s': expected an absolute path without a '/' at its "
					  "end, or a name, with '?' for a blank",
					  p);
	}
	for (size_t i = 0; i < j->conf.exclude.count; i++)
		strlist_add_once(&j->exclude, j->conf.exclude.items[i]);
	return 0;
}

/* Those of the command line, or else recovery.conf's. */
static int take_methods(struct job *j, struct error *e)
{
	_cleanup_(recovery_conf) struct recovery_conf scratch = { 0 };

	for (size_t i = 0; i < j->methods.count; i++)
		if (recovery_conf_set(&scratch, "backup", "method", j->methods.items[i], NULL) < 0)
			return error_text(e, EINVAL, "--method '%s': expected archive, dump, xfsdump or send",
					  j->methods.items[i]);
	for (size_t i = 0; i < j->conf.methods.count && !j->options_method; i++)
		strlist_add(&j->methods, j->conf.methods.items[i]);
	return 0;
}

/* Not into itself. */
static int check_disk(struct job *j, const struct target *target, struct error *e)
{
	for (size_t i = 0; i < j->machine.count; i++) {
		const struct device *d = j->machine.devices[i];
		struct stat st;

		if (!chosen(d) || !target->disk)
			continue;
		if (d->kind == DEVICE_SUBVOLUME)
			st.st_dev = d->now.devno;
		else if (stat(d->content.mountpoint, &st) < 0)
			return error_errno(e, errno, "look at %s", d->content.mountpoint);
		if (st.st_dev == target->disk)
			return error_text(e, EINVAL,
					  "%s lies on %s, which is to be backed up: choose another disk",
					  target->shown, place(d));
		dev_t disk = block_disk(st.st_dev);

		if (disk && disk == block_disk(target->disk))
			report_warn(&j->c->report,
				    "%s lies on the same disk as %s, and is lost together with it",
				    target->shown, place(d));
	}
	return 0;
}

/* What is written for sure has to fit. */
static int check_room(struct job *j, const struct target *target, struct error *e)
{
	enum { best_ratio = 20 }; /* nothing real compresses better as a whole */
	char free_text[SIZE_TEXT_MAX], total_text[SIZE_TEXT_MAX];
	uint64_t room;
	int r = target_room(target, &room, e);

	if (r < 0)
		return r;

	(void)format_size(room, free_text);
	(void)format_size(j->total, total_text);
	if (j->level == 0 && room < j->total / best_ratio)
		return error_text(e, ENOSPC, "%s: %s are free, %s are to be backed up", target->shown,
				  free_text, total_text);
	if (j->level == 0 && room < j->total)
		report_warn(&j->c->report, "%s: %s are free, %s are to be backed up: it has to compress well",
			    target->shown, free_text, total_text);
	return 0;
}

/* Nothing but the backups themselves lies on it. */
static bool has_only_backups(const struct job *j, const struct device *disk, const struct target *target)
{
	for (size_t i = 0; i < j->machine.count; i++) {
		const struct device *d = j->machine.devices[i];
		bool theirs = d->now.devno == target->disk;

		if (d != disk && d->parent != disk)
			continue;
		if (chosen(d) || machine_above(&j->machine, d) ||
		    (d->content.kind != CONTENT_NONE && !theirs))
			return false;
	}
	for (size_t i = 0; i < j->machine.boot_entry_count; i++)
		if (j->machine.boot_entries[i].partition->parent == disk)
			return false;
	return !strlist_has(&j->machine.boot_disks, disk->name);
}

/* A disk that is there for the backups is no part of the machine: recovery would want another one in its place. */
static void leave_out(struct job *j, const struct target *target)
{
	_cleanup_(free) bool *marks = xcalloc(j->machine.count + 1, sizeof(*marks));
	const struct device *disk = NULL;
	dev_t whole = target->disk ? block_disk(target->disk) : 0;

	for (size_t i = 0; whole && i < j->machine.count; i++)
		if (j->machine.devices[i]->kind == DEVICE_DISK && j->machine.devices[i]->now.devno == whole)
			disk = j->machine.devices[i];
	if (!disk || !has_only_backups(j, disk, target))
		return;
	for (size_t i = 0; i < j->machine.count; i++)
		marks[i] = j->machine.devices[i] == disk || j->machine.devices[i]->parent == disk;
	report_info(&j->c->report, "%s holds the backups and is no part of the machine", disk->name);
	machine_remove(&j->machine, marks);
}

static int check_targets(struct job *j, struct error *e)
{
	int r = 0;

	for (const struct target *t = &j->target; r == 0 && t; t = t->replica) {
		r = check_disk(j, t, e);
		if (r == 0)
			r = check_room(j, t, e);
		if (r == -ENOSPC && j->target.replica) { /* what fits nowhere else may fit in the others */
			report_warn(&j->c->report, "%s", e->text);
			r = 0;
		}
	}
	return r;
}

/* All at the same moment, so that what belongs together fits together. */
static void take_snapshots(struct job *j)
{
	struct device **wanted = xcalloc(j->machine.count + 1, sizeof(struct device *));
	_cleanup_(strlist) struct strlist names = { 0 };
	size_t count = 0;

	for (size_t i = 0; i < j->machine.count; i++)
		if (chosen(j->machine.devices[i]))
			wanted[count++] = j->machine.devices[i];
	snapshots_take(&j->snapshots, wanted, count, &j->c->report);
	free(wanted);
	for (size_t i = 0; i < j->snapshots.count; i++)
		strlist_add(&names, place(j->snapshots.items[i].of));
	_cleanup_(free) char *shown = strlist_join(&names, ", ");

	if (names.count)
		report_info(&j->c->report, "read from snapshots of this moment: %s", shown);
}

static bool is_sent(const struct device *d)
{
	return d->kind == DEVICE_SUBVOLUME && chosen(d) && streq(d->content.method, "send");
}

static bool is_on_path(const struct device *d, const struct device *parent, const char *path)
{
	return d->kind == DEVICE_SUBVOLUME && d->parent == parent && streq(d->subvolume.path, path);
}

/* What it shares data with for sure: what it is a snapshot of, or else an earlier one that is a snapshot of the same. */
static const struct device *find_send_parent(const struct job *j, const struct device *d)
{
	const char *of = d->subvolume.snapshot_of;

	for (size_t i = 0; of && i < j->machine.count; i++)
		if (is_sent(j->machine.devices[i]) && is_on_path(j->machine.devices[i], d->parent, of))
			return j->machine.devices[i];
	for (size_t i = 0; of && i < j->machine.count && j->machine.devices[i] != d; i++) {
		const struct device *other = j->machine.devices[i];

		if (is_sent(other) && other->parent == d->parent && other->subvolume.snapshot_of &&
		    streq(other->subvolume.snapshot_of, of))
			return other;
	}
	return NULL;
}

/* Nothing but what is read-only can be sent: what has no snapshot is archived after all. */
static void settle_methods(struct job *j)
{
	for (size_t i = 0; i < j->machine.count; i++) {
		struct device *d = j->machine.devices[i];

		if (!is_sent(d) || d->subvolume.read_only || snapshots_find(&j->snapshots, d))
			continue;
		report_warn(&j->c->report, "%s: archived, as without a snapshot it cannot be sent", place(d));
		free(d->content.method);
		d->content.method = xstrdup("archive");
	}
	for (size_t i = 0; i < j->machine.count; i++) {
		struct device *d = j->machine.devices[i];
		const struct device *parent = is_sent(d) ? find_send_parent(j, d) : NULL;

		if (parent)
			d->subvolume.send_parent = xstrdup(parent->subvolume.path);
	}
}

/* What is mounted for writing is read while it changes: said, not hidden. */
static void tell_live(struct job *j)
{
	_cleanup_(strlist) struct strlist live = { 0 };

	for (size_t i = 0; i < j->machine.count; i++) {
		const struct device *d = j->machine.devices[i];
		struct statvfs fs;

		if (chosen(d) && !snapshots_find(&j->snapshots, d) && d->content.mountpoint &&
		    statvfs(d->content.mountpoint, &fs) == 0 && !(fs.f_flag & ST_RDONLY))
			strlist_add(&live, d->content.mountpoint);
	}
	_cleanup_(free) char *names = strlist_join(&live, ", ");

	if (live.count)
		report_info(
			&j->c->report,
			"%s: in use: a file that changes while it is read may be saved half old, half new",
			names);
}

static int add_machine_conf(struct job *j, struct set_writer *w, struct error *e)
{
	_cleanup_(strbuf) struct strbuf text = { 0 };
	int r = machine_conf_format(&j->machine, &text, e);

	return r < 0 ? r : set_add_file(w, "machine.conf", text.data, text.len, e);
}

static void chain_of(void *user, const char *stream, struct strlist *ret)
{
	set_writer_chain(user, stream, ret);
}

static int add_by_hand(struct job *j, struct set_writer *w, struct error *e)
{
	_cleanup_(strlist) struct strlist files = { 0 };
	_cleanup_(strbuf) struct strbuf text = { 0 };
	_cleanup_(free) char *shown = xasprintf("%s/%s", j->machine.hostname, set_writer_name(w));

	set_writer_files(w, &files);
	by_hand_format(&j->machine, shown, &files, &j->exclude, chain_of, w, &text);
	return set_add_file(w, "RECOVER.txt", text.data, text.len, e);
}

/* The folder of the one that it is sent as a difference to; NULL: none. `*ret_fd` keeps it. The caller frees. */
static int open_send_parent(const struct job *j, const struct device *d, int *ret_fd, char **ret,
			    struct error *e)
{
	const struct device *parent = NULL;

	for (size_t i = 0; d->subvolume.send_parent && i < j->machine.count; i++)
		if (is_on_path(j->machine.devices[i], d->parent, d->subvolume.send_parent))
			parent = j->machine.devices[i];
	if (!parent)
		return 0;
	const struct snapshot *snapshot = snapshots_find(&j->snapshots, parent);
	int r = snapshot ? 0 : btrfs_open(parent, ret_fd, e);

	if (r == 0)
		*ret = snapshot ? xstrdup(snapshot->folder) : xasprintf("/proc/self/fd/%d/.", *ret_fd);
	return r;
}

/* What can be read at the folder. */
static int save(struct job *j, struct set_writer *w, const struct device *d, const char *folder,
		struct error *e)
{
	const struct device *holder = d->kind == DEVICE_SUBVOLUME ? d->parent : d;
	_cleanup_(strlist) struct strlist patterns = { 0 };
	_cleanup_(free) char *parent = NULL;
	_cleanup_(fd) int parent_fd = -1;
	int r = open_send_parent(j, d, &parent_fd, &parent, e);
	const struct set_source source = { .folder = folder,
					   .shown = place(d),
					   .device = d->now.devno,
					   .total = holder->content.used,
					   .exclude = &patterns,
					   .parent = parent,
					   .placeholder = is_sent(d) ? BTRFS_EMPTY_SUBVOL_DIR_OBJECTID : 0 };

	concerning(j, d, &patterns);
	return r < 0 ? r
		     : set_save_filesystem(w, d->content.stream, d->content.method, &source, &j->c->report,
					   e);
}

static int save_snapshot(struct job *j, struct set_writer *w, const struct snapshot *s, struct error *e)
{
	const bool btrfs = s->of->kind == DEVICE_SUBVOLUME;
	_cleanup_(strlist) struct strlist patterns = { 0 };
	_cleanup_(free) char *parent = NULL;
	_cleanup_(fd) int parent_fd = -1;
	int r = open_send_parent(j, s->of, &parent_fd, &parent, e);
	const struct set_source source = {
		.folder = s->folder,
		.shown = place(s->of),
		.device = s->device,
		.total = (btrfs ? s->of->parent : s->of)->content.used,
		.exclude = &patterns,
		.as_of = j->snapshots.as_of,
		.parent = parent,
		.placeholder = btrfs ? BTRFS_EMPTY_SUBVOL_DIR_OBJECTID : 0,
	};
	struct error full;

	concerning(j, s->of, &patterns);
	if (r == 0)
		r = set_save_filesystem(w, s->of->content.stream, s->of->content.method, &source,
					&j->c->report, e);

	/* what is read of one that ran full is an error of reading, or nothing that was there */
	if (snapshots_check(&j->snapshots, &full) < 0)
		return error_text(e, EIO, "back up %s: %s", place(s->of), full.text);
	return r;
}

/* Where it is mounted, or, where it is not or another lies over it, through the top level of its btrfs. */
static int save_subvolume(struct job *j, struct set_writer *w, const struct device *d, struct error *e)
{
	const struct content *c = &d->content;
	struct stat st;

	if (c->mountpoint && stat(c->mountpoint, &st) == 0 && st.st_dev == d->now.devno)
		return save(j, w, d, c->mountpoint, e);
	_cleanup_(fd) int fd = -1;
	int r = btrfs_open(d, &fd, e);
	_cleanup_(free) char *path = xasprintf("/proc/self/fd/%d/.", fd);

	if (r == 0)
		r = save(j, w, d, path, e);
	if (r < 0)
		error_prefix(e, "subvolume %s of %s", d->subvolume.path, d->parent->name);
	return r;
}

/* Of a LUKS device: all that lies before its data. */
static int save_header(struct job *j, struct set_writer *w, const struct device *d, struct error *e)
{
	const struct device *crypt = machine_above(&j->machine, d);
	_cleanup_(free) char *node = device_node(d);

	return set_save_image(w, d->content.stream, node, crypt->crypt.offset, &j->c->report, e);
}

static int write_set(struct job *j, struct set_writer *w, char **ret_name, struct error *e)
{
	take_snapshots(j);
	settle_methods(j);
	tell_live(j);
	int r = add_machine_conf(j, w, e);

	for (size_t i = 0; r == 0 && i < j->machine.count; i++) {
		const struct device *d = j->machine.devices[i];
		const struct content *c = &d->content;
		const struct snapshot *snapshot = snapshots_find(&j->snapshots, d);

		if (snapshot)
			r = save_snapshot(j, w, snapshot, e);
		else if (chosen(d) && d->kind == DEVICE_SUBVOLUME)
			r = save_subvolume(j, w, d, e);
		else if (chosen(d))
			r = save(j, w, d, d->content.mountpoint, e);
		else if (c->stream && d->content.kind == CONTENT_MEMBER)
			r = save_header(j, w, d, e);
	}
	if (r == 0)
		r = add_by_hand(j, w, e);
	return r < 0 ? r : set_commit(w, ret_name, e);
}

static int summarise(struct job *j, const struct set_writer *w, const char *name)
{
	char plain_text[SIZE_TEXT_MAX], packed_text[SIZE_TEXT_MAX], speed[SIZE_TEXT_MAX];
	uint64_t plain, packed;
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail with a valid clock */
	double seconds =
		(double)(now.tv_sec - j->begun.tv_sec) + (double)(now.tv_nsec - j->begun.tv_nsec) / 1e9;

	set_written(w, &plain, &packed);
	if (j->c->json) {
		json_t *object =
			json_pack("{s:s, s:s, s:I, s:I, s:I, s:f}", "host", j->machine.hostname, "set", name,
				  "filesystems", (json_int_t)j->count, "bytes", (json_int_t)plain, "packed",
				  (json_int_t)packed, "seconds", seconds);
		int failed = json_dumpf(object, stdout, JSON_COMPACT); /* of NULL as well */
		struct error e;

		json_decref(object);
		if (failed) {
			(void)error_errno(&e, EIO, "write the result as JSON");
			return cmd_failed(j->c, &e);
		}
		printf("\n");
		return cmd_done(j->c);
	}
	(void)format_size(plain, plain_text);
	(void)format_size(packed, packed_text);
	(void)format_size((uint64_t)((double)plain / (seconds > 0.001 ? seconds : 0.001)), speed);
	printf("%s/%s: %zu file system%s, %s as %s in %.1f s (%s/s)\n", j->machine.hostname, name, j->count,
	       j->count == 1 ? "" : "s", plain_text, packed_text, seconds, speed);
	report_info(&j->c->report, "next: lifeboat verify --host %s %s", j->machine.hostname,
		    j->target.shown);
	return cmd_done(j->c);
}

/* A device is started anew only when a person agrees to lose what is on it. */
static int agree(struct job *j, const char *argument, struct error *e)
{
	_cleanup_(strlist) struct strlist all = { 0 };
	const char *text = argument ? argument : j->conf.target;
	int r = 0;

	if (!j->overwrite || !text)
		return 0;
	recovery_split_targets(text, &all);
	for (size_t i = 0; r == 0 && i < all.count; i++) {
		_cleanup_(free) char *content = NULL, *question = NULL;

		r = target_content(all.items[i], &content, e);
		if (r < 0 || !content || j->yes)
			continue;
		question = xasprintf("%s holds %s. All of it will be lost. Type 'overwrite' to go on:",
				     all.items[i], content);
		if (!cmd_consent(question, "overwrite"))
			r = error_text(e, ECANCELED,
				       "not confirmed, so nothing was written (--yes does not ask)");
	}
	return r;
}

/* Who can read it: looked at before anything is made. */
static int check_recipients(const struct job *j, struct error *e)
{
	int r = j->conf.encrypt_to.count ? age_check_recipients(&j->conf.encrypt_to, e) : 0;

	if (r < 0)
		error_prefix(e, "encrypt-to");
	return r;
}

static int begin_set(struct job *j, struct set_writer **ret, struct error *e)
{
	_cleanup_(set_writer) struct set_writer *w = NULL;
	const struct age_key *key = NULL;
	identity_configure(&j->identity, &j->conf);
	int r = identity_read(&j->identity, &key, e);

	if (r == 0)
		r = set_begin(&j->target, j->machine.hostname, j->level, j->conf.chunk, &w, &j->c->report, e);
	if (r == 0)
		r = set_writer_encrypt(w, &j->conf.encrypt_to, key, record_folder(), e);
	if (r == 0)
		*ret = TAKE_PTR(w);
	return r;
}

static int backup(struct job *j, const char *argument)
{
	_cleanup_(set_writer) struct set_writer *w = NULL;
	_cleanup_(free) char *name = NULL;
	struct error e;

	(void)clock_gettime(CLOCK_MONOTONIC, &j->begun); /* cannot fail with a valid clock */
	if (recovery_conf_load(j->c->conf_path, &j->conf, &e) < 0 || take_exclusions(j, &e) < 0 ||
	    take_methods(j, &e) < 0 || check_recipients(j, &e) < 0)
		return cmd_failed(j->c, &e);
	if (j->conf.snapshots && !j->live)
		snapshots_begin(&j->snapshots, &j->c->report);
	if (survey(&j->machine, strlist_has(&j->methods, "send"), &j->c->report, &e) < 0 ||
	    choose(j, &e) < 0 || agree(j, argument, &e) < 0 ||
	    cmd_target_open(j->c, &j->conf, argument, j->overwrite ? TARGET_OVERWRITE : TARGET_WRITE,
			    &j->target, &e) < 0 ||
	    check_targets(j, &e) < 0)
		return cmd_failed(j->c, &e);
	for (const struct target *t = &j->target; t; t = t->replica)
		leave_out(j, t);
	choose_methods(j);
	if (begin_set(j, &w, &e) < 0 || write_set(j, w, &name, &e) < 0)
		return cmd_failed(j->c, &e);
	if (snapshots_end(&j->snapshots, &e) < 0) {
		error_prefix(&e, "the backup is complete");
		return cmd_failed(j->c, &e);
	}
	size_t failed = set_writer_failed(w) + j->target.missing;
	int exit_code = summarise(j, w, name);

	if (!failed && exit_code == EXIT_DONE &&
	    cmd_prune(j->c, &j->conf, &j->target, j->machine.hostname, true, false, &e) < 0) {
		error_prefix(&e, "the backup is complete, but old ones were not removed");
		return cmd_failed(j->c, &e);
	}
	if (!failed)
		return exit_code;
	(void)error_text(&e, EIO, "%zu of the targets %s no backup, see above", failed,
			 failed == 1 ? "has" : "have");
	return cmd_failed(j->c, &e);
}

int cmd_backup(int argc, char *argv[])
{
	static const struct option options[] = { { "only", required_argument, NULL, OPTION_ONLY },
						 { "identity", required_argument, NULL, OPTION_IDENTITY },
						 { "exclude", required_argument, NULL, OPTION_EXCLUDE },
						 { "method", required_argument, NULL, OPTION_METHOD },
						 { "level", required_argument, NULL, OPTION_LEVEL },
						 { "overwrite", no_argument, NULL, OPTION_OVERWRITE },
						 { "yes", no_argument, NULL, OPTION_YES },
						 { "no-snapshots", no_argument, NULL, OPTION_NO_SNAPSHOTS },
						 CMD_OPTIONS_LONG };
	_cleanup_(cmd) struct cmd c;
	_cleanup_(job) struct job j = {
		.c = &c, .target = { .dirfd = -1 }, .snapshots = SNAPSHOTS_NONE, .identity = IDENTITY_NONE
	};
	int option, exit_code;

	cmd_begin(&c, argv[0]);
	while ((option = getopt_long(argc, argv, CMD_OPTIONS_SHORT, options, NULL)) != -1)
		switch (option) {
		case OPTION_ONLY:
			strlist_add_once(&j.only, optarg);
			break;
		case OPTION_IDENTITY:
			j.identity.path = optarg;
			break;
		case OPTION_EXCLUDE:
			strlist_add_once(&j.exclude, optarg);
			break;
		case OPTION_METHOD:
			strlist_add_once(&j.methods, optarg);
			j.options_method = true;
			break;
		case OPTION_OVERWRITE:
			j.overwrite = true;
			break;
		case OPTION_YES:
			j.yes = true;
			break;
		case OPTION_NO_SNAPSHOTS:
			j.live = true;
			break;
		case OPTION_LEVEL:
			if (*optarg < '0' || *optarg > '9' || optarg[1])
				return cmd_usage(&c, "--level %s: expected 0 (a full backup) to 9", optarg);
			j.level = (unsigned)(*optarg - '0');
			break;
		default:
			if (!cmd_option(&c, option, &exit_code))
				return exit_code;
		}
	if (argc - optind > 1)
		return cmd_usage(&c, "unexpected argument '%s'", argv[optind + 1]);
	if (j.yes && !j.overwrite)
		return cmd_usage(&c, "--yes belongs to --overwrite");
	return backup(&j, optind < argc ? argv[optind] : NULL);
}
