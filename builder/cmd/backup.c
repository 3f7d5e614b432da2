/* lifeboat backup: survey, choose, write a set. */
#include "cmd/commands.h"

#include "backup/set.h"
#include "cmd/backup_choice.h"
#include "cmd/backup_targets.h"
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
	struct backup_choice choice;
	struct identity identity; /* for the set that a level goes on from */
	unsigned level;
	struct timespec begun;
};

static void job_free(struct job *j)
{
	recovery_conf_free(&j->conf);
	machine_free(&j->machine);
	target_close(&j->target);
	snapshots_drop(&j->snapshots);
	backup_choice_free(&j->choice);
	identity_free(&j->identity);
}
DEFINE_CLEANUP(job, struct job, job_free)

/* All at the same moment, so that what belongs together fits together. */
static void take_snapshots(struct job *j)
{
	struct device **wanted = xcalloc(j->machine.count + 1, sizeof(struct device *));
	_cleanup_(strlist) struct strlist names = { 0 };
	size_t count = 0;

	for (size_t i = 0; i < j->machine.count; i++)
		if (backup_is_chosen(j->machine.devices[i]))
			wanted[count++] = j->machine.devices[i];
	snapshots_take(&j->snapshots, wanted, count, &j->c->report);
	free(wanted);
	for (size_t i = 0; i < j->snapshots.count; i++)
		strlist_add(&names, backup_place(j->snapshots.items[i].of));
	_cleanup_(free) char *shown = strlist_join(&names, ", ");

	if (names.count)
		report_info(&j->c->report, "read from snapshots of this moment: %s", shown);
}

/* What is mounted for writing is read while it changes: said, not hidden. */
static void tell_live(struct job *j)
{
	_cleanup_(strlist) struct strlist live = { 0 };

	for (size_t i = 0; i < j->machine.count; i++) {
		const struct device *d = j->machine.devices[i];
		struct statvfs fs;

		if (backup_is_chosen(d) && !snapshots_find(&j->snapshots, d) && d->content.mountpoint &&
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
	by_hand_format(&j->machine, shown, &files, &j->choice.exclude, chain_of, w, &text);
	return set_add_file(w, "RECOVER.txt", text.data, text.len, e);
}

/* The folder of the one that it is sent as a difference to; NULL: none. `*ret_fd` keeps it. The caller frees. */
static int open_send_parent(const struct job *j, const struct device *d, int *ret_fd, char **ret,
			    struct error *e)
{
	const struct device *parent = backup_send_parent(&j->machine, d);

	if (!parent)
		return 0;
	const struct snapshot *snapshot = snapshots_find(&j->snapshots, parent);
	int r = snapshot ? 0 : btrfs_open(parent, ret_fd, e);

	if (r == 0)
		*ret = snapshot ? xstrdup(snapshot->folder) : xasprintf("/proc/self/fd/%d/.", *ret_fd);
	return r;
}

/* What can be read at the folder: the file system as it is, or, where there is one, its snapshot. */
static int save(struct job *j, struct set_writer *w, const struct device *d, const char *folder,
		const struct snapshot *snapshot, struct error *e)
{
	const struct device *holder = d->kind == DEVICE_SUBVOLUME ? d->parent : d;
	bool has_placeholders = snapshot ? d->kind == DEVICE_SUBVOLUME : backup_is_sent(d);
	_cleanup_(strlist) struct strlist patterns = { 0 };
	_cleanup_(free) char *parent = NULL;
	_cleanup_(fd) int parent_fd = -1;
	int r = open_send_parent(j, d, &parent_fd, &parent, e);
	const struct set_source source = { .folder = folder,
					   .shown = backup_place(d),
					   .device = snapshot ? snapshot->device : d->now.devno,
					   .total = holder->content.used,
					   .exclude = &patterns,
					   .as_of = snapshot ? j->snapshots.as_of : 0,
					   .parent = parent,
					   .placeholder =
						   has_placeholders ? BTRFS_EMPTY_SUBVOL_DIR_OBJECTID : 0 };

	backup_exclusions(&j->choice, d, &patterns);
	return r < 0 ? r
		     : set_save_filesystem(w, d->content.stream, d->content.method, &source, &j->c->report,
					   e);
}

static int save_snapshot(struct job *j, struct set_writer *w, const struct snapshot *s, struct error *e)
{
	int r = save(j, w, s->of, s->folder, s, e);
	struct error full;

	/* what is read of one that ran full is an error of reading, or nothing that was there */
	if (snapshots_check(&j->snapshots, &full) < 0)
		return error_text(e, EIO, "back up %s: %s", backup_place(s->of), full.text);
	return r;
}

/* Where it is mounted, or, where it is not or another lies over it, through the top level of its btrfs. */
static int save_subvolume(struct job *j, struct set_writer *w, const struct device *d, struct error *e)
{
	const struct content *c = &d->content;
	struct stat st;

	if (c->mountpoint && stat(c->mountpoint, &st) == 0 && st.st_dev == d->now.devno)
		return save(j, w, d, c->mountpoint, NULL, e);
	_cleanup_(fd) int fd = -1;
	int r = btrfs_open(d, &fd, e);
	_cleanup_(free) char *path = xasprintf("/proc/self/fd/%d/.", fd);

	if (r == 0)
		r = save(j, w, d, path, NULL, e);
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
	backup_settle_methods(&j->machine, &j->snapshots, &j->c->report);
	tell_live(j);
	int r = add_machine_conf(j, w, e);

	for (size_t i = 0; r == 0 && i < j->machine.count; i++) {
		const struct device *d = j->machine.devices[i];
		const struct content *c = &d->content;
		const struct snapshot *snapshot = snapshots_find(&j->snapshots, d);

		if (snapshot)
			r = save_snapshot(j, w, snapshot, e);
		else if (backup_is_chosen(d) && d->kind == DEVICE_SUBVOLUME)
			r = save_subvolume(j, w, d, e);
		else if (backup_is_chosen(d))
			r = save(j, w, d, d->content.mountpoint, NULL, e);
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
				  "filesystems", (json_int_t)j->choice.count, "bytes", (json_int_t)plain,
				  "packed", (json_int_t)packed, "seconds", seconds);
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
	printf("%s/%s: %zu file system%s, %s as %s in %.1f s (%s/s)\n", j->machine.hostname, name,
	       j->choice.count, j->choice.count == 1 ? "" : "s", plain_text, packed_text, seconds, speed);
	report_info(&j->c->report, "next: lifeboat verify --host %s %s", j->machine.hostname,
		    j->target.shown);
	return cmd_done(j->c);
}

/* Who can read it: looked at before anything is made. */
static int check_recipients(const struct job *j, struct error *e)
{
	int r = j->conf.encrypt_to.count ? age_check_recipients(&j->conf.encrypt_to, e) : 0;

	if (r < 0)
		error_prefix(e, "encrypt-to");
	return r;
}

static int open_targets(struct job *j, const char *argument, struct error *e)
{
	enum target_use use = j->overwrite ? TARGET_OVERWRITE : TARGET_WRITE;
	uint64_t total = j->level == 0 ? j->choice.total : 0; /* what a level takes shows only then */
	int r = j->overwrite ? backup_agree(argument ? argument : j->conf.target, j->yes, e) : 0;

	if (r == 0)
		r = cmd_target_open(j->c, &j->conf, argument, use, &j->target, e);
	if (r == 0)
		r = backup_check_targets(&j->machine, &j->target, total, &j->c->report, e);
	if (r == 0)
		backup_leave_out(&j->machine, &j->target, &j->c->report);
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
	if (recovery_conf_load(j->c->conf_path, &j->conf, &e) < 0 ||
	    backup_choice_complete(&j->choice, &j->conf, &e) < 0 || check_recipients(j, &e) < 0)
		return cmd_failed(j->c, &e);
	bool live = j->live || !j->conf.snapshots;

	if (!live)
		snapshots_begin(&j->snapshots, &j->c->report);
	const struct survey_options options = { .sends_snapshots = backup_sends_snapshots(&j->choice, live),
						.leave_out = &j->conf.leave_out };

	if (survey(&j->machine, &options, &j->c->report, &e) < 0 ||
	    backup_choose(&j->choice, &j->machine, &e) < 0 || open_targets(j, argument, &e) < 0)
		return cmd_failed(j->c, &e);
	backup_choose_methods(&j->choice, &j->machine, &j->c->report);
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
			strlist_add_once(&j.choice.only, optarg);
			break;
		case OPTION_IDENTITY:
			j.identity.path = optarg;
			break;
		case OPTION_EXCLUDE:
			strlist_add_once(&j.choice.exclude, optarg);
			break;
		case OPTION_METHOD:
			strlist_add_once(&j.choice.methods, optarg);
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
