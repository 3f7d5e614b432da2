/* A pax archive (POSIX.1-2008 pax Interchange Format) by libarchive: any file system, read file by file. Sub-second
 * times, extended attributes, ACLs, capabilities, file flags, holes and hard links are in it; sockets are not,
 * their programs make them again. GNU tar reads it, all but the file flags. The file system is read while it is
 * in use: a file that changes meanwhile is as it was at several moments, and is told. */
#include "backup/archive.h"

#include "backup/exclude.h"
#include "backup/listing_stream.h"
#include "backup/listing_walk.h"
#include "backup/set_private.h"
#include "backup/stream_thread.h"
#include "backup/times.h"
#include "backup/xattrs.h"
#include "base/fs.h"
#include "base/str.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>

struct saving {
	const struct set_source *source;
	struct strlist excluded; /* what matched */
	struct archive *out, *disk;
	struct archive_entry *header;
	struct archive_entry_linkresolver *links;
	char *buf, *zeros;
	struct strbuf times; /* records of times.h */
	struct strlist changed; /* files that were not the same before and after they were read */
	struct listing listing; /* in the order of the stream */
	struct digest *digest; /* of the file that is being put */
	struct listing base; /* what the set below knows; empty: everything is put */
	int64_t since; /* its date */
	bool *kept; /* for each line of it: the same path, with something of the same type, is still there */
};

static void saving_free(struct saving *s)
{
	archive_entry_linkresolver_free(s->links);
	archive_entry_free(s->header);
	(void)archive_read_free(s->disk); /* it holds no file */
	(void)archive_write_free(s->out); /* closed by hand where it matters */
	strlist_free(&s->changed);
	strlist_free(&s->excluded);
	listing_free(&s->listing);
	listing_free(&s->base);
	free(s->kept);
	digest_free(s->digest);
	strbuf_free(&s->times);
	free(s->buf);
	free(s->zeros);
}
DEFINE_CLEANUP(saving, struct saving, saving_free)

static int archive_failed(struct archive *a, const char *path, struct error *e)
{
	int code = archive_errno(a);

	if (code == EPIPE)
		return error_errno(e, EPIPE, "archive %s", path); /* who reads the stream knows why */
	return error_text(e, EIO, "archive %s: %s", path, archive_error_string(a));
}

static int put_bytes(struct saving *s, const void *data, size_t len, const char *path, struct error *e)
{
	digest_add(s->digest, data, len);
	return archive_write_data(s->out, data, len) == (la_ssize_t)len ? 0 : archive_failed(s->out, path, e);
}

/* `len` zeros: pax leaves out those that its map of holes covers. */
static int put_hole(struct saving *s, int64_t len, const char *path, struct error *e)
{
	int r = 0;

	for (; r == 0 && len > 0; len -= archive_block)
		r = put_bytes(s, s->zeros, len < archive_block ? (size_t)len : archive_block, path, e);
	return r;
}

/* Bytes [at, end) of the file. It may have become shorter: then zeros stand for what is gone, as the header has
 * told its size. */
static int put_data(struct saving *s, int fd, int64_t at, int64_t end, const char *path, struct error *e)
{
	while (at < end) {
		size_t want = end - at < archive_block ? (size_t)(end - at) : archive_block;
		ssize_t n = pread_full(fd, s->buf, want, (off_t)at);

		if (n < 0)
			return error_errno(e, (int)-n, "read %s", path);
		if (n == 0)
			return put_hole(s, end - at, path, e);
		int r = put_bytes(s, s->buf, (size_t)n, path, e);

		if (r < 0)
			return r;
		at += n;
	}
	return 0;
}

static int put_content(struct saving *s, int fd, const char *path, struct error *e)
{
	struct archive_entry *h = s->header;
	int64_t size = archive_entry_size(h), at = 0, offset, length;
	int r = 0;

	if (archive_entry_sparse_reset(h) == 0)
		return put_data(s, fd, 0, size, path, e);
	while (r == 0 && archive_entry_sparse_next(h, &offset, &length) == ARCHIVE_OK) {
		r = put_hole(s, offset - at, path, e);
		if (r == 0)
			r = put_data(s, fd, offset, offset + length, path, e);
		at = offset + length;
	}
	return r == 0 ? put_hole(s, size - at, path, e) : r;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* Of a btrfs the attribute says how it is compressed; the flags are only its shadow, and set by themselves they would
 * choose another way. */
static void drop_compression_flags(struct archive_entry *h)
{
	const char *name;
	unsigned long set, clear;
	const void *value;
	size_t len;

	archive_entry_fflags(h, &set, &clear);
	if (!(set & (FS_COMPR_FL | FS_NOCOMP_FL)))
		return;
	(void)archive_entry_xattr_reset(h); /* how many */
	while (archive_entry_xattr_next(h, &name, &value, &len) == ARCHIVE_OK)
		if (streq(name, "btrfs.compression"))
			archive_entry_set_fflags(h, set & ~(unsigned long)(FS_COMPR_FL | FS_NOCOMP_FL),
						 clear);
}

/* The header of the file that is open at `fd`, or, for what cannot be opened, of the one at `at`. */
static int make_header(struct saving *s, const struct walked *file, int fd, const char *at, const char *path,
		       struct error *e)
{
	struct archive_entry *h = archive_entry_clear(s->header);

	archive_entry_copy_sourcepath(h, at);
	archive_entry_set_pathname(h, file->path);
	if (archive_read_disk_entry_from_file(s->disk, h, fd, &file->st) < ARCHIVE_OK)
		return error_text(e, EIO, "read %s: %s", path, archive_error_string(s->disk));
	drop_compression_flags(h);
	/* Reading a file changes it, and this program cannot set the other two. */
	archive_entry_unset_atime(h);
	archive_entry_unset_ctime(h);
	archive_entry_unset_birthtime(h);
	/* Of a time before 1970 libarchive writes the fraction as if it counted upwards, GNU tar takes it downwards. */
	if (file->st.st_mtim.tv_sec < 0 && file->st.st_mtim.tv_nsec > 0) {
		archive_entry_set_mtime(h, file->st.st_mtim.tv_sec, 0);
		times_record(&s->times, file->st.st_mode, &file->st.st_mtim, file->path);
	}
	return 0;
}

static int put_entry(struct saving *s, int fd, const char *path, struct error *e)
{
	struct archive_entry *spare = NULL; /* the strategy for tar keeps nothing back */

	archive_entry_linkify(s->links, &s->header, &spare);
	if (archive_write_header(s->out, s->header) != ARCHIVE_OK)
		return archive_failed(s->out, path, e);
	if (!archive_entry_hardlink(s->header)) {
		digest_free(s->digest);
		s->digest = digest_new();
	}
	bool has_content = archive_entry_filetype(s->header) == AE_IFREG &&
			   !archive_entry_hardlink(s->header) && archive_entry_size(s->header) > 0;

	return has_content ? put_content(s, fd, path, e) : 0;
}

/* Bytes of the stream so far. */
static uint64_t stream_at(const struct saving *s)
{
	return (uint64_t)archive_filter_bytes(s->out, 0);
}

/* The entry that was just put, from byte `start` of the stream on. What is hashed is what was put. */
static int list_entry(struct saving *s, const struct walked *file, uint64_t start, const char *path,
		      struct error *e)
{
	const char *target = archive_entry_symlink(s->header);
	_cleanup_(listed) struct listed f = listed_of(file);
	int r = xattrs_digest(file->dirfd, file->name, path, &f.has_xattrs, f.xattrs, e);

	if (r < 0)
		return r;
	f.start = start;
	f.end = stream_at(s);
	f.target = target ? xstrdup(target) : NULL;
	if (S_ISREG(f.mode) && !archive_entry_hardlink(s->header)) {
		digest_bytes(s->digest, f.sha);
		f.has_sha = true;
		digest_free(TAKE_PTR(s->digest));
	}
	listing_take(&s->listing, &f);
	return 0;
}

/* The line of the set below for a file that is still what it was; NULL: it has to be saved. Folders always are: what is put
 * into them by a restore changes their times. */
static const struct listed *unchanged(struct saving *s, const struct walked *file)
{
	enum { clock_grain = 1 }; /* seconds: the kernel's stamps of files lag by a tick */
	_cleanup_(free) char *path = streq(file->path, ".") ? xstrdup(".") : xasprintf("./%s", file->path);
	const struct listed *f = listing_find(&s->base, path);
	const struct stat *st = &file->st;

	if (!f || (f->mode & S_IFMT) != (st->st_mode & S_IFMT))
		return NULL;
	s->kept[f - s->base.items] = true;
	if (S_ISDIR(st->st_mode) || f->ino != st->st_ino || f->mode != st->st_mode || f->uid != st->st_uid ||
	    f->gid != st->st_gid || (S_ISREG(st->st_mode) && f->size != (uint64_t)st->st_size) ||
	    f->mtime.tv_sec != st->st_mtim.tv_sec || f->mtime.tv_nsec != st->st_mtim.tv_nsec ||
	    st->st_ctim.tv_sec >= s->since - clock_grain)
		return NULL;
	return f;
}

/* It is where the set below says. */
static void list_unchanged(struct saving *s, const struct listed *f)
{
	struct listed copy = *f;

	copy.path = xstrdup(f->path);
	copy.target = f->target ? xstrdup(f->target) : NULL;
	copy.back++;
	listing_take(&s->listing, &copy);
}

static int by_inode(const void *a, const void *b)
{
	const struct listed *x = *(const struct listed *const *)a, *y = *(const struct listed *const *)b;

	if (x->ino != y->ino)
		return x->ino < y->ino ? -1 : 1;
	return x->has_sha != y->has_sha ? (x->has_sha ? -1 : 1) : 0; /* the one with the content first */
}

/* All names of a file are where its content is. */
static void resolve_links(struct listing *l)
{
	_cleanup_(free) struct listed **linked = xcalloc(l->count + 1, sizeof(struct listed *));
	size_t count = 0;

	for (size_t i = 0; i < l->count; i++)
		if (l->items[i].nlink > 1 && !S_ISDIR(l->items[i].mode))
			linked[count++] = &l->items[i];
	qsort(linked, count, sizeof(struct listed *), by_inode);
	for (size_t i = 1; i < count; i++) {
		const struct listed *first = linked[i - 1];
		struct listed *f = linked[i];

		if (f->ino != first->ino || f->has_sha || !first->has_sha)
			continue;
		memcpy(f->sha, first->sha, sizeof(f->sha));
		f->has_sha = true;
		f->start = first->start;
		f->end = first->end;
	}
}

/* Is it left out: a file at all, a folder but for its name. What lies below one is not asked for; of the root, what
 * lies above it counts. */
static bool left_out(struct saving *s, const struct walked *file)
{
	const struct strlist *patterns = s->source->exclude;
	const char *place = *s->source->shown == '/' && s->source->shown[1] ? s->source->shown : "";
	bool root = streq(file->path, ".");
	_cleanup_(free) char *path = root ? xstrdup(place) : xasprintf("%s/%s", place, file->path);

	if (!(root ? exclude_covers(patterns, path) : exclude_matches(patterns, path)))
		return false;
	strlist_add(&s->excluded, file->path);
	return true;
}

static int put_file(struct saving *s, const struct walked *walked, struct error *e)
{
	_cleanup_(free) char *at = xasprintf("/proc/self/fd/%d/%s", walked->dirfd, walked->name);
	_cleanup_(free) char *path =
		xasprintf("%s/%s", streq(s->source->shown, "/") ? "" : s->source->shown, walked->path);
	struct walked file = *walked;
	struct stat after;
	_cleanup_(fd) int fd = -1;

	if (S_ISSOCK(file.st.st_mode))
		return 0;
	const struct listed *known = unchanged(s, &file);

	if (known) {
		list_unchanged(s, known);
		return 0;
	}
	if (S_ISREG(file.st.st_mode) || S_ISDIR(file.st.st_mode)) {
		fd = openat(file.dirfd, file.name,
			    O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOATIME | O_NONBLOCK | O_NOCTTY);
		if (fd < 0 && errno == ENOENT)
			return 0;
		if (fd < 0 || fstat(fd, &file.st) < 0)
			return error_errno(e, errno, "open %s", path);
	}
	uint64_t start = stream_at(s);
	int r = make_header(s, &file, fd, at, path, e);

	if (r == 0)
		r = put_entry(s, fd, path, e);
	if (r == 0)
		r = archive_write_finish_entry(s->out) == ARCHIVE_OK ? list_entry(s, &file, start, path, e)
								     : archive_failed(s->out, path, e);
	if (r == 0 && fd >= 0 && S_ISREG(file.st.st_mode) &&
	    (fstat(fd, &after) < 0 || !is_same(&file.st, &after)))
		strlist_add(&s->changed, file.path);
	return r;
}

static int save_file(void *user, const struct walked *walked, struct error *e)
{
	struct saving *s = user;
	bool out = s->source->exclude && left_out(s, walked), folder = S_ISDIR(walked->st.st_mode);
	size_t before = s->listing.count;
	int r = out ? 0 : walked_check_path(walked, s->source, e);

	if (r == 0 && (!out || folder))
		r = put_file(s, walked, e);
	if (out && s->listing.count > before && s->listing.items[before].nlink > 2)
		s->listing.items[before].nlink = 2; /* there will be no folders in it */
	return r == 0 && out ? 1 : r;
}

static int save_all(void *user, int fd, struct error *e)
{
	struct saving *s = user;
	_cleanup_(fd) int out = fd;

	if (archive_write_open_fd(s->out, out) != ARCHIVE_OK)
		return archive_failed(s->out, s->source->shown, e);
	int r = walk_filesystem(s->source, save_file, s, e);

	if (r == 0 && archive_write_close(s->out) != ARCHIVE_OK)
		r = archive_failed(s->out, s->source->shown, e);
	return r;
}

static int saving_open(struct saving *s, struct error *e)
{
	s->out = archive_write_new();
	s->disk = archive_read_disk_new();
	s->header = archive_entry_new();
	s->links = archive_entry_linkresolver_new();
	s->buf = xmalloc(archive_block);
	s->zeros = xcalloc(1, archive_block);
	if (!s->out || !s->disk || !s->header || !s->links)
		return error_errno(e, ENOMEM, "archive %s", s->source->shown);
	archive_entry_linkresolver_set_strategy(s->links, ARCHIVE_FORMAT_TAR_PAX_INTERCHANGE);
	if (archive_write_set_format_pax(s->out) != ARCHIVE_OK ||
	    archive_write_set_options(s->out, "hdrcharset=BINARY,xattrheader=SCHILY") != ARCHIVE_OK ||
	    archive_write_set_bytes_per_block(s->out, archive_block) != ARCHIVE_OK ||
	    archive_read_disk_set_symlink_physical(s->disk) != ARCHIVE_OK ||
	    archive_read_disk_set_behavior(s->disk, ARCHIVE_READDISK_NO_TRAVERSE_MOUNTS) != ARCHIVE_OK)
		return archive_failed(s->out, s->source->shown, e);
	return 0;
}

/* What the set below has and this one has not, or as something of another type: paths, each with a NUL, for `xargs
 * -0 rm -rf`. */
static int save_deleted(const struct save_job *job, const struct saving *s, struct error *e)
{
	_cleanup_(strbuf) struct strbuf paths = { 0 };
	const char *above = NULL;

	for (size_t i = 0; i < s->base.count; i++) {
		const char *path = s->base.items[i].path, *rest = above ? str_after(path, above) : NULL;

		if (s->kept[i] || (rest && *rest == '/'))
			continue;
		strbuf_add(&paths, path, strlen(path) + 1);
		above = path;
	}
	return stream_add_text(job->w, job->name, DELETED_METHOD, &paths, e);
}

static int save_beside(const struct save_job *job, struct saving *s, const struct frames *frames,
		       struct error *e)
{
	const struct listing_source source = listing_source(&s->listing);
	int r = stream_add_text(job->w, job->name, TIMES_METHOD, &s->times, e);

	resolve_links(&s->listing);
	listing_sort(&s->listing);
	if (r == 0)
		r = listing_save(job->w, job->name, frames, &source, e);
	if (r == 0)
		r = save_deleted(job, s, e);
	if (r == 0)
		r = listing_sound(&s->listing, e);
	if (r == 0)
		r = listing_sound(&s->base, e);
	if (r == 0)
		r = excluded_save(job->w, job->name, job->source->shown, &s->excluded, job->report, e);
	return r < 0 ? r : changed_save(job->w, job->name, job->source->shown, &s->changed, job->report, e);
}

static int save(const struct save_job *job, struct error *e)
{
	_cleanup_(saving) struct saving s = { .source = job->source };
	_cleanup_(frames) struct frames frames = { 0 };
	_cleanup_(free) char *what = xasprintf("back up %s", job->source->shown);
	struct timespec now;
	int r = saving_open(&s, e);

	if (r == 0 && job->base)
		r = listing_load(job->base, job->name, &s.base, NULL, e);
	if (r < 0)
		return r;
	(void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail with a valid clock */
	job->record->date = now.tv_sec;
	job->record->since = s.since = job->base ? job->base_record->date : 0;
	s.kept = xcalloc(s.base.count + 1, sizeof(*s.kept));
	report_begin(job->report, what, job->base ? 0 : job->source->total);
	r = stream_produce(job->w, job->name, ARCHIVE_METHOD, job->source->total, &frames, job->report,
			   save_all, &s, e);
	report_end(job->report);
	return r < 0 ? r : save_beside(job, &s, &frames, e);
}

const struct method method_archive = {
	.name = ARCHIVE_METHOD, .by_file = true, .type = "", .save = save, .restore = archive_restore
};
