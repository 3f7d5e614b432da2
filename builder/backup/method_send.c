/* A btrfs subvolume as the kernel sends it (BTRFS_IOC_SEND, what btrfs-send(8) does) out of a read-only snapshot, taken in by
 * btrfs-receive(8). One that shares data with another of the same set is sent as the difference to that: what they share is in
 * the set once, and shared again when both are recovered. Format: the kernel's fs/btrfs/send.h. It is not read here: the listing comes from a walk.
 *
 * What chattr(1) sets is not in it (NAME.flags), and the folders that subvolumes are put into lose their times (NAME.times). There are
 * no levels: the difference to an earlier state would need that state as a snapshot that stays on the machine, where it
 * keeps all that is deleted. */
#include "backup/beside.h"
#include "backup/flags.h"
#include "backup/program.h"
#include "backup/set_private.h"
#include "backup/stream_thread.h"

#include <btrfsutil.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>

struct sending {
	const struct set_source *source;
	int fd; /* the snapshot */
	uint64_t parent; /* number of the one that it is sent as a difference to; 0: none */
	struct strbuf flags; /* records of flags.h */
	struct strlist nocow; /* files that are not copied on write: a stream does not keep that */
};

static void sending_end(struct sending *s)
{
	if (s->fd >= 0)
		(void)close(s->fd); /* read side */
	strbuf_free(&s->flags);
	strlist_free(&s->nocow);
}
DEFINE_CLEANUP(sending, struct sending, sending_end)

static int open_sent(const char *folder, const char *shown, int *ret, struct error *e)
{
	_cleanup_(fd) int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool read_only = false;

	if (fd < 0)
		return error_errno(e, errno, "open %s", shown);
	if (btrfs_util_is_subvolume_fd(fd) != BTRFS_UTIL_OK)
		return error_text(e, EINVAL, "%s: it is no subvolume of a btrfs, which send needs", shown);
	if (btrfs_util_get_subvolume_read_only_fd(fd, &read_only) != BTRFS_UTIL_OK)
		return error_errno(e, errno, "look at %s", shown);
	if (!read_only)
		return error_text(e, EROFS, "%s: nothing but a read-only snapshot can be sent", shown);
	*ret = TAKE_FD(fd);
	return 0;
}

static int open_all(struct sending *s, struct error *e)
{
	const struct set_source *source = s->source;
	_cleanup_(fd) int parent = -1;
	int r = open_sent(source->folder, source->shown, &s->fd, e);

	if (r < 0 || !source->parent)
		return r;
	r = open_sent(source->parent, source->shown, &parent, e);
	if (r == 0 && btrfs_util_subvolume_id_fd(parent, &s->parent) != BTRFS_UTIL_OK)
		r = error_errno(e, errno, "look at what %s shares data with", source->shown);
	return r;
}

/* Owns `fd`. */
static int send_all(void *user, int fd, struct error *e)
{
	struct sending *s = user;
	_cleanup_(fd) int out = fd;
	struct btrfs_ioctl_send_args args = {
		.send_fd = out,
		.parent_root = s->parent,
		.clone_sources = s->parent ? (__u64 *)&s->parent : NULL,
		.clone_sources_count = s->parent ? 1 : 0,
	};

	return ioctl(s->fd, BTRFS_IOC_SEND, &args) < 0 ? error_errno(e, errno, "send %s", s->source->shown)
						       : 0;
}

static int note_file(void *user, const struct walked *file, int fd, struct error *e)
{
	struct sending *s = user;
	int flags = 0;

	if (S_ISREG(file->st.st_mode) && ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 && flags & FS_NOCOW_FL)
		strlist_add(&s->nocow, file->path);
	return flags_record(&s->flags, file, fd, e);
}

static void tell_nocow(const struct save_job *job, struct sending *s)
{
	_cleanup_(strlist) struct strlist some = { 0 };

	strlist_sort(&s->nocow); /* the walk has no order */
	for (size_t i = 0; i < s->nocow.count && i < 10; i++)
		strlist_add(&some, s->nocow.items[i]);
	_cleanup_(free) char *names = some.count ? strlist_join(&some, ", ") : NULL;

	if (names)
		report_warn(
			job->report,
			"%s: %zu files that are not copied on write (chattr +C) will be recovered as "
			"others are, and swap files among them have to be made again: %s%s; method archive "
			"keeps that",
			job->source->shown, s->nocow.count, names, s->nocow.count > some.count ? " …" : "");
}

static bool keeps_time(const struct listed *f)
{
	return !S_ISDIR(f->mode);
}

static int save_beside(const struct save_job *job, struct sending *s, const struct frames *frames,
		       struct error *e)
{
	const struct listing_walk walk = { .source = job->source, .each = note_file, .user = s };
	int r = beside_save(job, &walk, &s->flags, keeps_time, frames, e);

	if (r == 0)
		tell_nocow(job, s);
	return r;
}

static int save(const struct save_job *job, struct error *e)
{
	_cleanup_(free) char *what = xasprintf("back up %s", job->source->shown);
	_cleanup_(sending) struct sending s = { .source = job->source, .fd = -1 };
	_cleanup_(frames) struct frames frames = { 0 };
	int r = open_all(&s, e);

	if (r < 0)
		return r;
	job->record->date = (int64_t)time(NULL);
	report_begin(job->report, what, s.parent ? 0 : job->source->total);
	r = stream_produce(job->w, job->name, method_send.name, job->source->total, &frames, job->report,
			   send_all, &s, e);
	report_end(job->report);
	return r < 0 ? r : save_beside(job, &s, &frames, e);
}

/* ---- restoring ---- */

static int receive(struct set *s, const char *name, const char *folder, struct report *report,
		   struct error *e)
{
	const char *argv[] = { "btrfs", "receive", ".", NULL };
	_cleanup_(free) char *said = NULL;

	return stream_feed(s, name, method_send.name, argv, folder, &said, report, e);
}

/* It is in its place already. */
static int restore(struct set *s, const char *name, const char *folder, bool last, struct report *report,
		   struct error *e)
{
	(void)last; /* there are no levels */
	return beside_restore(s, name, folder, report, e);
}

const struct method method_send = { .name = "send",
				    .type = "btrfs",
				    .no_levels = true,
				    .save = save,
				    .receive = receive,
				    .restore = restore };
