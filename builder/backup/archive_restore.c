/* Pax archives, read back: see method_archive.c. */
#include "backup/archive.h"

#include "backup/inside.h"
#include "backup/listing_stream.h"
#include "backup/set_private.h"
#include "backup/stream_thread.h"
#include "backup/swap_file.h"
#include "backup/times.h"
#include "base/fs.h"
#include "base/str.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/statfs.h>

struct restoring {
	const char *name, *folder;
	struct archive *in, *disk;
	struct timespec root_times[2]; /* as utimensat(2) takes them */
};

static void restoring_free(struct restoring *r)
{
	(void)archive_read_free(r->in); /* closed by hand where it matters */
	(void)archive_write_free(r->disk);
}
DEFINE_CLEANUP(restoring, struct restoring, restoring_free)

/* A FAT file system has neither owners nor modes of its own, and refuses to be given some. */
static int keeps_owners(const char *folder, bool *ret, struct error *e)
{
	struct statfs fs;

	if (statfs(folder, &fs) < 0)
		return error_errno(e, errno, "look at %s", folder);
	*ret = fs.f_type != MSDOS_SUPER_MAGIC;
	return 0;
}

/* A file that btrfs must not copy on write has to be so before it gets its first byte: it inherits that from its
 * folder, which is told so for the moment. */
static int set_nocow(const struct restoring *r, const char *folder, bool on, bool *ret_changed,
		     struct error *e)
{
	_cleanup_(fd) int root = open(*r->folder ? r->folder : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(fd) int fd = root < 0 ? -1 : open_inside(root, folder, O_RDONLY | O_DIRECTORY);
	unsigned flags;

	*ret_changed = false;
	if (fd < 0 || ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
		return error_errno(e, errno, "read the flags of %s/%s", r->folder, folder);
	if (!(flags & FS_NOCOW_FL) == !on)
		return 0;
	flags ^= FS_NOCOW_FL;
	if (ioctl(fd, FS_IOC_SETFLAGS, &flags) < 0)
		return errno == EOPNOTSUPP || errno == ENOTTY || errno == EINVAL
			       ? 0 /* another kind of file system, which has no such thing */
			       : error_errno(e, errno, "set the flags of %s/%s", r->folder, folder);
	*ret_changed = true;
	return 0;
}

static int extract(struct restoring *r, struct archive_entry *entry, const char *full, struct error *e)
{
	mode_t mode = archive_entry_perm(entry);
	int64_t size = archive_entry_filetype(entry) == AE_IFREG ? archive_entry_size(entry) : 0;

	if (archive_read_extract2(r->in, entry, r->disk) == ARCHIVE_OK)
		return swap_file_fill(full, mode, size, e);
	/* libarchive leaves the reason with the one or the other */
	const char *why = archive_error_string(r->in);

	return error_text(e, EIO, "restore %s: %s: %s", r->name, full,
			  why ? why : archive_error_string(r->disk));
}

static int extract_nocow(struct restoring *r, struct archive_entry *entry, const char *path, const char *full,
			 struct error *e)
{
	const char *slash = strrchr(path, '/');
	_cleanup_(free) char *folder = slash ? xstrndup(path, (size_t)(slash - path)) : xstrdup(".");
	bool changed;
	int code = set_nocow(r, folder, true, &changed, e);

	if (code == 0)
		code = extract(r, entry, full, e);
	return code == 0 && changed ? set_nocow(r, folder, false, &changed, e) : code;
}

static bool is_nocow(struct archive_entry *entry)
{
	unsigned long set, clear;

	archive_entry_fflags(entry, &set, &clear);
	return set & FS_NOCOW_FL && archive_entry_filetype(entry) == AE_IFREG;
}

static int restore_entry(struct restoring *r, struct archive_entry *entry, struct error *e)
{
	const char *path = archive_entry_pathname(entry), *link = archive_entry_hardlink(entry);

	if (!path || *path == '/' || (link && *link == '/'))
		return error_text(e, EBADMSG, "restore %s: '%.100s' is not a path below the root", r->name,
				  path ? path : "");
	/* The root is there already, and changes with each file that is put into it. */
	if (streq(path, "./") && archive_entry_mtime_is_set(entry))
		r->root_times[1] =
			(struct timespec) { archive_entry_mtime(entry), archive_entry_mtime_nsec(entry) };
	_cleanup_(free) char *below = xstrdup(path), *full = xasprintf("%s/%s", r->folder, path);
	_cleanup_(free) char *target = link ? xasprintf("%s/%s", r->folder, link) : NULL;

	archive_entry_copy_pathname(entry, full);
	if (target)
		archive_entry_copy_hardlink(entry, target);
	return is_nocow(entry) ? extract_nocow(r, entry, below, full, e) : extract(r, entry, full, e);
}

/* An archive ends with its mark; behind that stands what fills the last block. */
static int read_rest(int fd, const char *name, struct error *e)
{
	_cleanup_(free) char *buf = xmalloc(archive_block);
	ssize_t n;

	while ((n = read_full(fd, buf, archive_block)) > 0)
		;
	return n < 0 ? error_errno(e, (int)-n, "restore %s", name) : 0;
}

static int restore_all(void *user, int fd, struct error *e)
{
	struct restoring *r = user;
	_cleanup_(fd) int in = fd;
	struct archive_entry *entry;
	int code, result = 0;

	if (archive_read_open_fd(r->in, in, archive_block) != ARCHIVE_OK)
		return error_text(e, EIO, "restore %s: %s", r->name, archive_error_string(r->in));
	while (result == 0 && (code = archive_read_next_header(r->in, &entry)) != ARCHIVE_EOF)
		result = code == ARCHIVE_OK
				 ? restore_entry(r, entry, e)
				 : error_text(e, EIO, "restore %s: %s", r->name, archive_error_string(r->in));
	if (result == 0)
		result = read_rest(in, r->name, e);
	/* Times and flags of folders are set now. */
	if (result == 0 && archive_write_close(r->disk) != ARCHIVE_OK)
		result = error_text(e, EIO, "restore %s: %s", r->name, archive_error_string(r->disk));
	if (result == 0 && utimensat(AT_FDCWD, *r->folder ? r->folder : "/", r->root_times, 0) < 0)
		result = error_errno(e, errno, "set the time of %s", r->folder);
	return result;
}

/* libarchive sets the time of a folder that it finds there at once, and then fills it. */
static int set_folder_times(struct set *s, const char *name, const char *folder, struct error *e)
{
	_cleanup_(listing) struct listing l = { 0 };
	_cleanup_(fd) int root = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = root < 0 ? error_errno(e, errno, "open %s", folder) : listing_load(s, name, &l, NULL, e);

	for (size_t i = 0; r == 0 && i < l.count; i++) {
		const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, l.items[i].mtime };
		const char *path = l.items[i].path;

		if (!S_ISDIR(l.items[i].mode))
			continue;
		_cleanup_(fd) int fd = open_inside(root, path, O_RDONLY | O_DIRECTORY);

		if (fd < 0 || futimens(fd, times) < 0)
			r = error_errno(e, errno, "restore %s: set the time of %s/%s", name, folder, path);
	}
	return r;
}

/* What was deleted since the set below. */
static int remove_deleted(struct set *s, const char *name, const char *folder, struct error *e)
{
	_cleanup_(free) char *paths = NULL;
	_cleanup_(fd) int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	size_t len = 0;

	if (!chunk_find(&s->sums, name, DELETED_METHOD, 0))
		return 0;
	if (fd < 0)
		return error_errno(e, errno, "open %s", folder);
	int r = stream_get_text(s, name, DELETED_METHOD, &paths, &len, e);

	for (const char *p = paths; r == 0 && p < paths + len; p += strlen(p) + 1)
		r = remove_inside(fd, p, e);
	if (r < 0)
		error_prefix(e, "restore %s: %s", name, folder);
	return r;
}

int archive_restore(struct set *s, const char *name, const char *folder, bool last, struct report *report,
		    struct error *e)
{
	_cleanup_(restoring) struct restoring r = { .name = name,
						    .in = archive_read_new(),
						    .disk = archive_write_disk_new(),
						    .root_times = { { .tv_nsec = UTIME_OMIT },
								    { .tv_nsec = UTIME_OMIT } } };
	_cleanup_(free) char *real = realpath(folder, NULL); /* no link may be on the way */
	int flags = ARCHIVE_EXTRACT_TIME | ARCHIVE_EXTRACT_SECURE_SYMLINKS | ARCHIVE_EXTRACT_SECURE_NODOTDOT |
		    ARCHIVE_EXTRACT_UNLINK;
	bool owners = true;

	if (!real)
		return error_errno(e, errno, "open %s", folder);
	r.folder = streq(real, "/") ? "" : real;
	int code = keeps_owners(real, &owners, e);

	if (code < 0)
		return code;
	if (owners)
		flags |= ARCHIVE_EXTRACT_OWNER | ARCHIVE_EXTRACT_PERM | ARCHIVE_EXTRACT_ACL |
			 ARCHIVE_EXTRACT_XATTR | ARCHIVE_EXTRACT_FFLAGS;
	if (!r.in || !r.disk)
		return error_errno(e, ENOMEM, "restore %s", name);
	if (archive_read_support_format_tar(r.in) != ARCHIVE_OK)
		return error_text(e, EIO, "restore %s: %s", name, archive_error_string(r.in));
	if (archive_write_disk_set_options(r.disk, flags) != ARCHIVE_OK)
		return error_text(e, EIO, "restore %s: %s", name, archive_error_string(r.disk));
	(void)last; /* each archive's times are of what is in it */
	code = remove_deleted(s, name, folder, e);
	if (code < 0)
		return code;
	code = stream_consume(s, name, ARCHIVE_METHOD, report, restore_all, &r, e);
	const struct stream_record *record = levels_find(&s->levels, name);

	if (code == 0 && record && record->since)
		code = set_folder_times(s, name, folder, e);
	return code < 0 ? code : times_restore(s, name, folder, false, e);
}
