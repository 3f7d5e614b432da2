/* xfsdump(8) and xfsrestore(8): XFS, in the order of its inodes. Project numbers, attributes, holes and hard links are in it. Times are
 * whole seconds, those of links are lost (NAME.times), and what chattr(1) protects stands in the way of a later level (NAME.flags).
 * Its format is not read here: the listing comes from a walk. Levels are its own; see xfs_inventory.h.
 *
 * xfsdump wants a mount point, and an inventory in /var/lib: it runs in a mount namespace of its own, where it finds both, the file
 * system read-only, so that it leaves nothing on the machine. */
#include "backup/beside.h"
#include "backup/flags.h"
#include "backup/listing_stream.h"
#include "backup/program.h"
#include "backup/set_private.h"
#include "backup/stream_thread.h"
#include "backup/swap_file.h"
#include "backup/xfs_inventory.h"
#include "base/fs.h"
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Where it finds what it needs: below a file system in memory that hides this folder from it. */
#define HIDDEN "/var/lib"
#define SOURCE HIDDEN "/source"
#define INVENTORY HIDDEN "/xfsdump/inventory"
#define STAMP HIDDEN "/stamp"

struct saving {
	const struct save_job *job;
	char *node; /* of the device */
	struct strbuf inventory; /* before and after */
	char *said;
	/* of the walk */
	struct timespec begun; /* what is newer may have changed while it was read */
	struct strbuf flags; /* records of flags.h */
	struct strlist changed; /* paths */
};

static void saving_free(struct saving *s)
{
	free(s->node);
	free(s->said);
	strbuf_free(&s->inventory);
	strbuf_free(&s->flags);
	strlist_free(&s->changed);
}
DEFINE_CLEANUP(saving, struct saving, saving_free)

/* ---- xfsdump ---- */

/* Once more: it is mounted, and takes no other view of reading and writing than the first one. */
static int mount_source(const char *node, struct error *e)
{
	static const unsigned attributes = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
					   MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NOATIME;
	int saved = 0;

	for (int read_only = 0; read_only < 2; read_only++) {
		_cleanup_(fd) int context = fsopen("xfs", FSOPEN_CLOEXEC);

		if (context < 0 || fsconfig(context, FSCONFIG_SET_STRING, "source", node, 0) < 0 ||
		    (read_only && fsconfig(context, FSCONFIG_SET_FLAG, "ro", NULL, 0) < 0) ||
		    fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0) {
			saved = errno;
			continue;
		}
		_cleanup_(fd) int fd = fsmount(context, FSMOUNT_CLOEXEC, attributes);

		if (fd >= 0 && move_mount(fd, "", AT_FDCWD, SOURCE, MOVE_MOUNT_F_EMPTY_PATH) == 0)
			return 0;
		saved = errno;
	}
	return error_errno(e, saved, "mount %s for xfsdump", node);
}

static int make_stamp(int64_t date, struct error *e)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = date } };
	_cleanup_(fd) int fd = open(STAMP, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	return fd < 0 || futimens(fd, times) < 0 ? error_errno(e, errno, "make a file for xfsdump") : 0;
}

static int make_namespace(const struct saving *s, struct error *e)
{
	const struct save_job *job = s->job;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) < 0)
		return error_errno(e, errno, "make a mount namespace");
	if (mount("tmpfs", HIDDEN, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0700") < 0 || mkdir(SOURCE, 0700) < 0)
		return error_errno(e, errno, "make a folder in memory for xfsdump");
	int r = xfs_inventory_unpack(s->inventory.data ? s->inventory.data : "", s->inventory.len, INVENTORY,
				     e);

	if (r == 0 && job->source->as_of)
		r = make_stamp(job->source->as_of, e);
	return r < 0 ? r : mount_source(s->node, e);
}

/* In a thread, which alone is in that namespace; its children are as well. Owns `fd`. */
static int run_xfsdump(void *user, int fd, struct error *e)
{
	struct saving *s = user;
	const struct save_job *job = s->job;
	char level[] = { (char)('0' + (job->record->since ? job->w->levels.level : 0)), '\0' };
	_cleanup_(proc) struct proc xfsdump = PROC_NONE;
	_cleanup_(fd) int out = fd;
	_cleanup_(fd) int said_fd = memory_file(e);
	const struct proc_options o = { .stdout_fd = out, .stderr_fd = said_fd };
	/* labels, so that it does not ask; -F: nor for anything else */
	const char *argv[16] = { "xfsdump", "-F", "-l", level, "-L", "lifeboat", "-M", "lifeboat" };
	size_t n = 8;
	int r = said_fd < 0 ? said_fd : make_namespace(s, e);

	if (r < 0)
		return r;
	if (job->source->as_of) {
		argv[n++] = "-t";
		argv[n++] = STAMP;
	}
	argv[n++] = "-";
	argv[n++] = SOURCE;
	r = proc_spawn(argv, &o, &xfsdump, e);
	if (r < 0)
		return r;
	(void)close(TAKE_FD(out)); /* the child's now: its end is the stream's */
	r = proc_wait(&xfsdump, NULL, e);
	s->said = said_read(said_fd);
	s->inventory.len = 0;
	return r < 0 ? r : xfs_inventory_pack(INVENTORY, &s->inventory, e);
}

static const char *without_prefix(const char *line, const char *program)
{
	const char *after = str_after(line, program);
	const char *text = after ? str_after(after, ": ") : NULL;

	return text ? text : line;
}

/* Its last word that is no summary; changes the text. */
static void dump_failed(char *said, const char *node, struct error *e)
{
	const char *best = NULL;

	for (char *rest = said, *line; rest && (line = strsep(&rest, "\n"));) {
		line = (char *)without_prefix(str_strip(line), "xfsdump");
		if (strncmp(line, "usage:", 6) == 0)
			break;
		if (*line && !strstr(line, "Dump Status") && !strstr(line, "/dev/tty"))
			best = line;
	}
	error_prefix(e, "xfsdump %s: %.300s", node, best ? best : "it said nothing");
}

/* Where there are quotas it would leave files with them on the machine; survey tells that they are not saved. */
static bool is_about_quotas(const char *line)
{
	return strstr(line, "quota information, continuing") ||
	       strstr(line, "unable to remove " SOURCE "/xfsdump_quotas");
}

/* What it says beside its success; changes the text. */
static int check_dump_said(const struct saving *s, struct error *e)
{
	bool success = strstr(s->said, "Dump Status: SUCCESS") != NULL;

	for (char *rest = s->said, *line; rest && (line = strsep(&rest, "\n"));) {
		line = (char *)without_prefix(str_strip(line), "xfsdump");
		if (str_after(line, "ERROR: ") && !is_about_quotas(line))
			return error_text(e, EIO, "xfsdump %s: %.300s", s->node, line);
		if (str_after(line, "WARNING: "))
			report_warn(s->job->report, "xfsdump %s: %.300s", s->job->source->shown,
				    line + strlen("WARNING: "));
	}
	return success ? 0 : error_text(e, EIO, "xfsdump %s: it did not say that it was done", s->node);
}

static int dump_device(struct saving *s, struct frames *frames, struct error *e)
{
	const struct save_job *job = s->job;
	int r = stream_produce(job->w, job->name, method_xfsdump.name, job->source->total, frames,
			       job->report, run_xfsdump, s, e);

	if (r < 0 && s->said)
		dump_failed(s->said, s->node, e);
	return r < 0 ? r : check_dump_said(s, e);
}

/* ---- beside the stream ---- */

/* xfsrestore sets whole seconds of 32 bits, and none of links; the root's own has changed when the rest is back. */
static bool keeps_time(const struct listed *f)
{
	return f->mtime.tv_nsec == 0 && f->mtime.tv_sec == (int32_t)f->mtime.tv_sec && !S_ISLNK(f->mode) &&
	       !streq(f->path, ".");
}

static int note_file(void *user, const struct walked *file, int fd, struct error *e)
{
	struct saving *s = user;

	if (walked_changed_since(file, &s->begun))
		strlist_add(&s->changed, file->path);
	return flags_record(&s->flags, file, fd, e);
}

static int save_beside(struct saving *s, const struct frames *frames, const struct listing *base,
		       struct error *e)
{
	const struct save_job *job = s->job;
	const struct listing_walk walk = {
		.source = job->source, .base = base, .since = job->record->since, .each = note_file, .user = s
	};
	int r = beside_save(job, &walk, &s->flags, keeps_time, frames, e);

	if (r == 0)
		r = listing_sound(base, e);
	strlist_sort(&s->changed); /* the walk has no order */
	if (r == 0)
		r = stream_add_text(job->w, job->name, INVENTORY_METHOD, &s->inventory, e);
	return r < 0 ? r : changed_save(job->w, job->name, job->source->shown, &s->changed, job->report, e);
}

/* One that was made anew, even with the same UUID, has other inodes: when its root was made. NULL: an old format that does
 * not say. */
static char *identity_of(int fd)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &st) < 0 || !(st.stx_mask & STATX_BTIME))
		return NULL;
	return xasprintf("%lld.%09u", (long long)st.stx_btime.tv_sec, st.stx_btime.tv_nsec);
}

/* What the level goes on from, when the base is of this very file system. */
static int read_base(struct saving *s, int fd, struct listing *ret, struct error *e)
{
	const struct save_job *job = s->job;
	const struct stream_record *base = job->base_record;
	size_t len = 0;

	job->record->identity = identity_of(fd);
	if (!base || !base->identity || !job->record->identity ||
	    !streq(base->identity, job->record->identity) ||
	    !chunk_find(&job->base->sums, job->name, INVENTORY_METHOD, 0))
		return 0;
	int r = stream_get_text(job->base, job->name, INVENTORY_METHOD, &s->inventory.data, &len, e);

	s->inventory.len = s->inventory.capacity = len;
	if (r == 0)
		r = listing_load(job->base, job->name, ret, NULL, e);
	if (r == 0)
		job->record->since = base->date;
	return r;
}

static int save(const struct save_job *job, struct error *e)
{
	_cleanup_(free) char *what = xasprintf("back up %s", job->source->shown);
	_cleanup_(saving) struct saving s = { .job = job };
	_cleanup_(listing) struct listing base = { 0 };
	_cleanup_(frames) struct frames frames = { 0 };
	_cleanup_(fd) int fd = -1;
	int r = walk_open(job->source, &fd, e);

	if (r == 0)
		r = source_device(fd, job->source, "xfsdump", &s.node, e);
	if (r == 0)
		r = read_base(&s, fd, &base, e);
	if (r < 0)
		return r;
	/* it asks the kernel for inodes as they are on disk */
	if (syncfs(fd) < 0)
		return error_errno(e, errno, "flush %s", job->source->shown);
	(void)clock_gettime(CLOCK_REALTIME, &s.begun); /* cannot fail with a valid clock */
	job->record->date = s.begun.tv_sec;
	report_begin(job->report, what, job->record->since ? 0 : job->source->total);
	r = dump_device(&s, &frames, e);
	report_end(job->report);
	return r < 0 ? r : save_beside(&s, &frames, &base, e);
}

/* ---- restoring ---- */

/* It exits 0 in spite of what it could not make or remove. What it warns of shows when the tree is compared with the listing. */
static int check_restore_said(char *said, const char *name, struct report *report, struct error *e)
{
	bool success = strstr(said, "Restore Status: SUCCESS") && strstr(said, "session id:");

	for (char *rest = said, *line; rest && (line = strsep(&rest, "\n"));) {
		line = (char *)without_prefix(str_strip(line), "xfsrestore");
		if (str_after(line, "ERROR: "))
			return error_text(e, EIO, "xfsrestore %s: %.300s", name, line);
		if (str_after(line, "WARNING: "))
			report_warn(report, "xfsrestore %s: %.300s", name, line + strlen("WARNING: "));
	}
	return success ? 0 : error_text(e, EIO, "xfsrestore %s: it did not say that it was done", name);
}

/* What is allocated and was never written is a hole in the stream. */
static int fill_swap_files(struct set *s, const char *name, const char *folder, struct error *e)
{
	_cleanup_(listing) struct listing l = { 0 };
	int r = listing_load(s, name, &l, NULL, e);

	for (size_t i = 0; r == 0 && i < l.count; i++) {
		_cleanup_(free) char *path =
			S_ISREG(l.items[i].mode) ? xasprintf("%s/%s", folder, l.items[i].path) : NULL;

		r = path ? swap_file_fill(path, l.items[i].mode, (int64_t)l.items[i].size, e) : 0;
	}
	return r;
}

static int restore(struct set *s, const char *name, const char *folder, bool last, struct report *report,
		   struct error *e)
{
	/* xfsrestore's tables for later levels; of no use once the last one is in */
	static const char tables[] = "xfsrestorehousekeepingdir";
	/* -J: it leaves nothing in this system's inventory; -B: the root, too */
	const char *argv[] = { "xfsrestore", "-J", "-F", "-B", "-r", "-", ".", NULL };
	const struct stream_record *record = levels_find(&s->levels, name);
	_cleanup_(free) char *said = NULL;
	_cleanup_(fd) int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = fd < 0 ? error_errno(e, errno, "open %s", folder) : flags_clear(folder, e);

	if (r == 0 && !(record && record->since)) /* of a run that was interrupted */
		r = remove_tree_at(fd, tables, e);
	if (r == 0)
		r = stream_feed(s, name, method_xfsdump.name, argv, folder, &said, report, e);
	if (r == 0)
		r = check_restore_said(said, name, report, e);
	if (r < 0 || !last)
		return r;
	r = remove_tree_at(fd, tables, e);
	if (r == 0)
		r = fill_swap_files(s, name, folder, e);
	return r < 0 ? r : beside_restore(s, name, folder, report, e);
}

const struct method method_xfsdump = { .name = "xfsdump", .type = "xfs", .save = save, .restore = restore };
