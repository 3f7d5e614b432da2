#include "backup/flags.h"

#include "backup/inside.h"
#include "backup/set_private.h"
#include "backup/stream_thread.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

/* Not C of files: it can be set on empty ones only. Not c and m: the attribute btrfs.compression says so, and better. */
static const struct {
	char letter;
	int bit; /* FS_IOC_SETFLAGS */
	unsigned xflag; /* FS_IOC_FSSETXATTR; 0: not known there */
	bool folders_only;
} letters[] = {
	{ 'i', FS_IMMUTABLE_FL, FS_XFLAG_IMMUTABLE, false },
	{ 'a', FS_APPEND_FL, FS_XFLAG_APPEND, false },
	{ 'd', FS_NODUMP_FL, FS_XFLAG_NODUMP, false },
	{ 'A', FS_NOATIME_FL, FS_XFLAG_NOATIME, false },
	{ 'S', FS_SYNC_FL, FS_XFLAG_SYNC, false },
	{ 'D', FS_DIRSYNC_FL, 0, true },
	{ 'C', FS_NOCOW_FL, 0, true },
};
enum { letter_count = sizeof(letters) / sizeof(*letters), standing = FS_IMMUTABLE_FL | FS_APPEND_FL };

/* A file system without flags has none. */
static int read_flags(int fd, int *ret)
{
	if (ioctl(fd, FS_IOC_GETFLAGS, ret) == 0)
		return 0;
	*ret = 0;
	return errno == ENOTTY || errno == EOPNOTSUPP ? 0 : -errno;
}

static unsigned xflags_of(int flags, int *ret_rest)
{
	unsigned xflags = 0;

	*ret_rest = 0;
	for (size_t i = 0; i < letter_count; i++)
		if (flags & letters[i].bit) {
			xflags |= letters[i].xflag;
			*ret_rest |= letters[i].xflag ? 0 : letters[i].bit;
		}
	return xflags;
}

/* Wherever FS_IOC_SETFLAGS finds a compressed file of a btrfs, it chooses the compression anew (the kernel's
 * btrfs_fileattr_set()): so what the other call knows is set by that, and for the rest the choice is put back. */
static int set_rest(int fd, int set)
{
	char compression[16];
	ssize_t n = fgetxattr(fd, "btrfs.compression", compression, sizeof(compression));
	int flags = 0, r = read_flags(fd, &flags);

	if (r < 0 || (flags & set) == set)
		return r;
	flags |= set;
	if (ioctl(fd, FS_IOC_SETFLAGS, &flags) < 0 ||
	    (n > 0 && fsetxattr(fd, "btrfs.compression", compression, (size_t)n, 0) < 0))
		return -errno;
	return 0;
}

static int change_flags(int fd, int set, int clear)
{
	struct fsxattr x;
	int rest = 0, none = 0;
	unsigned on = xflags_of(set, &rest), off = xflags_of(clear, &none);
	int r = rest ? set_rest(fd, rest) : 0;

	if (r < 0 || (!on && !off))
		return r;
	if (ioctl(fd, FS_IOC_FSGETXATTR, &x) < 0)
		return -errno;
	x.fsx_xflags = (x.fsx_xflags | on) & ~off;
	return ioctl(fd, FS_IOC_FSSETXATTR, &x) < 0 ? -errno : 0;
}

int flags_record(struct strbuf *records, const struct walked *file, int fd, struct error *e)
{
	char text[letter_count + 1] = "";
	size_t n = 0;
	int flags = 0, r = fd < 0 ? 1 : read_flags(fd, &flags);

	if (r > 0)
		return 0;
	if (r < 0)
		return error_errno(e, -r, "read the flags of %s", file->path);
	for (size_t i = 0; i < letter_count; i++)
		if (flags & letters[i].bit && (!letters[i].folders_only || S_ISDIR(file->st.st_mode)))
			text[n++] = letters[i].letter;
	if (n) {
		strbuf_printf(records, "%s %s", text, file->path);
		strbuf_add(records, "", 1);
	}
	return 0;
}

static int clear_one(void *user, const struct walked *file, struct error *e)
{
	int flags = 0;

	(void)user;
	if (!S_ISREG(file->st.st_mode) && !S_ISDIR(file->st.st_mode))
		return 0;
	_cleanup_(fd) int fd =
		openat(file->dirfd, file->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int r = fd < 0 ? -errno : read_flags(fd, &flags);

	if (r == 0 && flags & standing)
		r = change_flags(fd, 0, standing);
	return r < 0 ? error_errno(e, -r, "set the flags of %s", file->path) : 0;
}

int flags_clear(const char *folder, struct error *e)
{
	struct stat st;

	if (stat(folder, &st) < 0)
		return error_errno(e, errno, "open %s", folder);
	const struct set_source source = { .folder = folder, .shown = folder, .device = st.st_dev };

	return walk_filesystem(&source, clear_one, NULL, e);
}

/* "LETTERS PATH". */
static int put_one(int rootfd, const char *folder, const char *record, struct error *e)
{
	const char *path = strchr(record, ' ');
	int wanted = 0, flags = 0;

	for (const char *p = record; path && p < path; p++) {
		size_t i = 0;

		while (i < letter_count && letters[i].letter != *p)
			i++;
		wanted |= i < letter_count ? letters[i].bit : 0; /* of a younger version: not known */
	}
	if (!path || !path[1])
		return error_text(e, EBADMSG, "%s: put flags back: bad record '%.40s'", folder, record);
	_cleanup_(fd) int fd = open_inside(rootfd, path + 1, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	int r = fd < 0 ? -errno : read_flags(fd, &flags);

	if (r == -ENOENT || r == -ENOTDIR) /* what changed while it was saved may be missing */
		return 0;
	if (r == 0 && (flags & wanted) != wanted)
		r = change_flags(fd, wanted, 0);
	return r < 0 ? error_errno(e, -r, "set the flags of %s/%s", folder, path + 1) : 0;
}

int flags_restore(struct set *s, const char *name, const char *folder, struct error *e)
{
	_cleanup_(free) char *records = NULL;
	size_t len = 0;

	if (!chunk_find(&s->sums, name, FLAGS_METHOD, 0))
		return 0;
	_cleanup_(fd) int rootfd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = rootfd < 0 ? error_errno(e, errno, "open %s", folder)
			   : stream_get_text(s, name, FLAGS_METHOD, &records, &len, e);

	for (const char *p = records; r == 0 && p < records + len; p += strlen(p) + 1)
		r = put_one(rootfd, folder, p, e);
	return r;
}
