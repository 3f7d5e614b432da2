/* dump(8) and restore(8): ext2, ext3, ext4. dump reads the block device, so a file system that is mounted
 * for writing is read as it is at each moment; whole-second times only, see times.h; some attributes are
 * lost, see xattrs.h. */
#include "backup/method.h"

#include "backup/device_cache.h"
#include "backup/dump_mend.h"
#include "backup/dump_reader.h"
#include "backup/dump_recheck.h"
#include "backup/listing_stream.h"
#include "backup/program.h"
#include "backup/restored.h"
#include "backup/set_private.h"
#include "backup/times.h"
#include "backup/xattrs.h"
#include "base/fs.h"
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

/* ---- saving ---- */

/* dump exits 0 in spite of read errors; what it says of them counts. */
static int check_said(const char *said, const char *device, struct error *e)
{
	static const struct {
		const char *what, *hint;
	} bad[] = { { "read error", "" },
		    { "short read", "" },
		    { "lseek2 fail", "" },
		    { "EA block", "" },
		    /* libext2fs, of a folder that it read while it was written to */
		    { "checksum does not match",
		      ": it changed in that moment, or is damaged (e2fsck(8)): try again" } };

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		const char *at = strstr(said, bad[i].what);

		if (at)
			return error_text(e, EIO, "dump %s: %.*s%s", device, (int)strcspn(at, "\n"), at,
					  bad[i].hint);
	}
	return 0;
}

/* Its last words, without those that only say that they are the last. */
static int dump_failed(const char *said, const char *device, struct error *e)
{
	_cleanup_(free) char *text = xstrdup(said);
	const char *best = NULL;

	if (check_said(said, device, e) < 0)
		return -EIO;
	for (char *rest = text, *line; (line = strsep(&rest, "\n"));) {
		const char *after = str_after(str_strip(line), "DUMP: ");

		if (after && !strstr(after, "ENTIRE dump is aborted") && !strstr(after, "/dev/tty"))
			best = after;
		else if (!after && *line)
			best = line;
	}
	if (best) {
		char detail[256];

		(void)snprintf(detail, sizeof(detail), "%s", best);
		error_prefix(e, "dump %s: %s", device, detail);
	}
	return -EIO;
}

/* What is known of a file system while it is saved. */
struct saving {
	struct dump_recheck recheck; /* and the tree is its */
	struct unwritten *extents;
	struct dump_mend *mend;
	struct frames frames;
	int64_t as_of; /* set_source's */
	int64_t date; /* dump's own */
};

static void saving_free(struct saving *s)
{
	dump_tree_free(s->recheck.tree);
	dump_recheck_free(&s->recheck);
	dump_mend_free(s->mend);
	unwritten_close(s->extents);
	frames_free(&s->frames);
}
DEFINE_CLEANUP(saving, struct saving, saving_free)

static int watch_dump(void *user, const struct pull *in, struct error *e)
{
	struct saving *s = user;

	return dump_tree_read(s->recheck.tree, in, &s->date, e);
}

static int recheck(void *user, const atomic_bool *failed, struct error *e)
{
	struct saving *s = user;

	report_end(s->recheck.report); /* who reads dump's stream has told its end before it is seen here */
	return dump_recheck(&s->recheck, failed, e);
}

static int mend(void *user, char *data, size_t *len, size_t room, struct error *e)
{
	const struct saving *s = user;

	if (*len)
		return dump_mend(s->mend, data, len, e);
	*len = dump_mend_end(s->mend, data, room);
	return 0;
}

/* A file may get a stamp that is a tick older than the clock, so the second before is taken: what is changed in it is in
 * both levels. Of a snapshot it is that of the snapshot. */
static int64_t date_of(const struct saving *s)
{
	int64_t begun = s->recheck.begun.tv_sec;

	return s->as_of && s->as_of < begun ? s->as_of : begun - 1;
}

/* Which file system it is: one that was made anew, even with the same UUID, has other inodes. Superblock: the
 * kernel's Documentation/filesystems/ext4/super.rst. */
static int read_identity(const char *device, char **ret, struct error *e)
{
	enum { at_superblock = 1024, at_uuid = 0x68, at_made = 0x108 };
	unsigned char block[1024] = { 0 };
	_cleanup_(strbuf) struct strbuf text = { 0 };
	_cleanup_(fd) int fd = open(device, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -errno : pread_full(fd, block, sizeof(block), at_superblock);

	if (n != sizeof(block))
		return error_errno(e, n < 0 ? (int)-n : EIO, "read the superblock of %s", device);
	strbuf_hex(&text, block + at_uuid, 16);
	strbuf_puts(&text, "-");
	for (size_t i = 4; i > 0; i--)
		strbuf_printf(&text, "%02x", block[at_made + i - 1]);
	*ret = TAKE_PTR(text.data);
	return 0;
}

/* What the level goes on from, when the base is of this very file system. */
static int read_base(const struct save_job *job, const char *device, struct saving *s, struct error *e)
{
	_cleanup_(listing) struct listing base = { 0 };
	int r = read_identity(device, &job->record->identity, e);

	if (r < 0 || !job->base || !job->base_record->identity ||
	    !streq(job->base_record->identity, job->record->identity))
		return r;
	r = listing_load(job->base, job->name, &base, NULL, e);
	if (r < 0)
		return r;
	dump_tree_base(s->recheck.tree, &base);
	job->record->since = job->base_record->date;
	return listing_sound(&base, e);
}

/* As dump -T takes it: ctime(3) and the offset from UTC. */
static int format_date(int64_t date, char *buf, size_t size, struct error *e)
{
	time_t seconds = (time_t)date;
	struct tm tm;

	if (!gmtime_r(&seconds, &tm) || !strftime(buf, size, "%a %b %e %H:%M:%S %Y +0000", &tm))
		return error_text(e, EOVERFLOW, "the date of the set below cannot be right");
	return 0;
}

/* Runs dump into the set. */
static int dump_device(const struct save_job *job, const char *device, struct saving *s, struct error *e)
{
	char level[] = { '-', (char)('0' + (job->record->since ? job->w->levels.level : 0)), '\0' };
	char date[64];
	const struct stream_watch watch = { .read = watch_dump, .after = recheck, .edit = mend, .user = s };
	_cleanup_(free) char *said = NULL;
	/* -b 1024 (DUMP_TAPE_BLOCK): eight times as fast as the default. -I 1: of read errors, it gives up at the second
	 * (0 would mean that it ignores all of them); check_said() sees the first. -h 10: above any level, as
	 * what chattr +d marks would be left out, by its own default of level 1 and above. */
	const char *argv[] = { "dump", level, "-b", "1024", "-I", "1",  "-h",
			       "10",   "-f",  "-",  device, NULL, NULL, NULL };
	enum { at_device = 10 };
	int r = 0;

	if (job->record->since) {
		r = format_date(job->record->since, date, sizeof(date), e);
		argv[at_device] = "-T";
		argv[at_device + 1] = date;
		argv[at_device + 2] = device;
	}
	if (r == 0)
		r = unwritten_open(device, &s->extents, e);
	if (r == 0)
		s->mend = dump_mend_new(s->extents, date_of(s));
	if (r == 0)
		r = stream_run(job->w, job->name, method_dump.name, argv, job->source->total, &watch,
			       &s->frames, &said, job->report, e);
	if (r == -EBADMSG)
		error_prefix(e, "dump %s", device);
	else if (r < 0 && said)
		return dump_failed(said, device, e);
	return r < 0 ? r : check_said(said, device, e);
}

static int walk_tree(void *user, int (*each)(void *user, const struct listed *f, struct error *e),
		     void *each_user, struct error *e)
{
	return dump_tree_walk(user, each, each_user, e);
}

/* restore(8) takes its 32 bits as if there were no times before 1970. The root's own has changed when the rest is back. */
static bool keeps_time(const struct listed *f)
{
	return f->mtime.tv_nsec == 0 && f->mtime.tv_sec >= 0 && f->mtime.tv_sec <= INT32_MAX &&
	       !streq(f->path, ".");
}

static int save_beside(const struct save_job *job, struct saving *s, struct error *e)
{
	const struct listing_source source = { .walk = walk_tree, .user = s->recheck.tree };
	int r = dump_recheck_missed(&s->recheck, e);

	if (r == 0)
		r = times_save(job->w, job->name, &source, keeps_time, e);
	if (r == 0)
		r = xattrs_save(job->w, job->name, &s->recheck.xattrs, e);
	if (r == 0)
		r = listing_save(job->w, job->name, &s->frames, &source, e);
	if (r == 0)
		r = dump_tree_sound(s->recheck.tree, e);
	return r < 0 ? r
		     : changed_save(job->w, job->name, job->source->shown, &s->recheck.changed, job->report,
				    e);
}

static int save(const struct save_job *job, struct error *e)
{
	_cleanup_(free) char *device = NULL, *what = xasprintf("back up %s", job->source->shown);
	_cleanup_(saving) struct saving s = {
		.recheck = { .source = job->source, .tree = dump_tree_new(), .report = job->report },
		.as_of = job->source->as_of
	};
	_cleanup_(fd) int fd = open(job->source->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return error_errno(e, errno, "open %s", job->source->shown);
	int r = source_device(fd, job->source, "dump", &device, e);

	if (r == 0)
		r = read_base(job, device, &s, e);
	if (r < 0)
		return r;
	/* dump reads the device: what is still in memory only must be there. What is written from here on may not be. */
	(void)clock_gettime(CLOCK_REALTIME, &s.recheck.begun); /* cannot fail with a valid clock */
	r = device_cache_renew(fd, device, job->source->shown, job->report, e);
	if (r < 0)
		return r;
	report_begin(job->report, what, job->record->since ? 0 : job->source->total);
	s.recheck.since = job->record->since;
	r = dump_device(job, device, &s, e);
	report_end(job->report);
	job->record->date = s.date;
	return r < 0 ? r : save_beside(job, &s, e);
}

/* ---- restoring ---- */

/* What restore may say and still have done all of its work: that it has no terminal, that mke2fs made a
 * lost+found already, that a file vanished or came while a live file system was dumped. */
static const char *const harmless[] = { "/dev/tty", "./lost+found: File exists" };
static const char *const changed[] = { "not found on tape", "expected next file" };

static bool has_any(const char *line, const char *const *phrases, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strstr(line, phrases[i]))
			return true;
	return false;
}

static const char *without_prefix(const char *line)
{
	const char *after = str_after(line, "restore: ");

	return after ? after : line;
}

/* restore exits 0 even when it could not make files: whatever it says beyond that is a failure. */
static int check_restore_said(char *said, const char *name, struct report *report, struct error *e)
{
	unsigned vanished = 0;

	for (char *rest = said, *line; (line = strsep(&rest, "\n"));) {
		line = str_strip(line);
		if (!*line || has_any(line, harmless, sizeof(harmless) / sizeof(*harmless)))
			continue;
		if (!has_any(line, changed, sizeof(changed) / sizeof(*changed)))
			return error_text(e, EIO, "restore %s: %.300s", name, without_prefix(line));
		vanished++;
		report_debug(report, "restore %s: %s", name, line);
	}
	if (vanished)
		report_warn(report, "restore %s: %u files came or went while they were backed up", name,
			    vanished);
	return 0;
}

/* Runs restore in `folder` on what set_read_stream() passes on. */
static int run_restore(struct set *s, const char *name, const char *folder, const char *temp,
		       struct report *report, struct error *e)
{
	const char *argv[] = { "restore", "-r", "-b", "1024", "-T", temp, "-f", "-", NULL };
	_cleanup_(free) char *said = NULL;
	int r = stream_feed(s, name, method_dump.name, argv, folder, &said, report, e);

	return r < 0 ? r : check_restore_said(said, name, report, e);
}

/* restore's temporary files: on the disk that is being filled, where there is room for a list of millions of
 * folders. Its default, /tmp, is memory in a rescue system, and what a crash leaves there blocks the next
 * restore of the same date. */
static int restore_with_temp(struct set *s, const char *name, const char *folder, int fd,
			     struct report *report, struct error *e)
{
	_cleanup_(free) char *temp = xasprintf("%s/.lifeboat.XXXXXX", folder);

	if (!mkdtemp(temp))
		return error_errno(e, errno, "make a folder %s", temp);
	int r = run_restore(s, name, folder, temp, report, e);
	int removed = remove_tree_at(fd, temp + strlen(folder) + 1, r < 0 ? NULL : e);

	return r < 0 ? r : removed;
}

static int restore(struct set *s, const char *name, const char *folder, bool last, struct report *report,
		   struct error *e)
{
	/* restore's table for later levels; of no use once the last one is in. So are times and attributes of
	 * those below: the last set has them for every file. */
	static const char table[] = "restoresymtable";
	_cleanup_(fd) int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return error_errno(e, errno, "open %s", folder);
	int r = restore_with_temp(s, name, folder, fd, report, e);

	if (r < 0 || !last)
		return r;
	if (unlinkat(fd, table, 0) < 0)
		return error_errno(e, errno, "remove %s/%s", folder, table);
	r = restored_check_files(s, name, folder, e);
	if (r == 0)
		r = xattrs_restore(s, name, folder, e);
	return r < 0 ? r : times_restore(s, name, folder, false, e);
}

const struct method method_dump = { .name = "dump", .save = save, .restore = restore };
