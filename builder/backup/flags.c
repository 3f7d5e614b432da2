#include "backup/flags.h"

#include "backup/inside.h"
#include "backup/set_private.h"
#include "backup/stream_thread.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

/* Not C of files: it can be set on empty ones only. Not c and m: the attribute btrfs.compression says so, and better. */
static const struct {
	char letter;
	int bit;
	bool folders_only;
} letters[] = {
	{ 'i', FS_IMMUTABLE_FL, false }, { 'a', FS_APPEND_FL, false }, { 'd', FS_NODUMP_FL, false },
	{ 'A', FS_NOATIME_FL, false },   { 'S', FS_SYNC_FL, false },   { 'D', FS_DIRSYNC_FL, true },
	{ 'C', FS_NOCOW_FL, true },
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

int flags_record(struct strbuf *records, const struct walked *file, int fd, struct error *e)
{
	char text[letter_count + 1] = "";
	size_t n = 0;
	int flags, r = fd < 0 ? 1 : read_flags(fd, &flags);

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
	int flags;

	(void)user;
	if (!S_ISREG(file->st.st_mode) && !S_ISDIR(file->st.st_mode))
		return 0;
	_cleanup_(fd) int fd =
		openat(file->dirfd, file->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int r = fd < 0 ? -errno : read_flags(fd, &flags);

	if (r == 0 && flags & standing) {
		flags &= ~standing;
		r = ioctl(fd, FS_IOC_SETFLAGS, &flags) < 0 ? -errno : 0;
	}
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
	int wanted = 0, flags;

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
	if (r == 0 && (flags & wanted) != wanted) {
		flags |= wanted;
		r = ioctl(fd, FS_IOC_SETFLAGS, &flags) < 0 ? -errno : 0;
	}
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
