#include "backup/inside.h"

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

int open_inside(int rootfd, const char *path, uint64_t flags)
{
	const struct open_how how = { .flags = flags | O_NOFOLLOW | O_CLOEXEC,
				      .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV };

	/* A link itself may be the goal: O_PATH | O_NOFOLLOW opens it, but RESOLVE_NO_SYMLINKS allows that. */
	return (int)syscall(SYS_openat2, rootfd, path, &how, sizeof(how));
}

int change_flagged(int rootfd, const char *path, int (*change)(int fd, void *user), void *user)
{
	_cleanup_(fd) int fd = open_inside(rootfd, path, O_RDONLY | O_NONBLOCK);
	int flags, without;

	if (fd < 0)
		return -errno;
	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
		return -errno;
	without = flags & ~(FS_IMMUTABLE_FL | FS_APPEND_FL);
	if (without == flags)
		return -EPERM;
	if (ioctl(fd, FS_IOC_SETFLAGS, &without) < 0)
		return -errno;
	int r = change(fd, user);

	if (ioctl(fd, FS_IOC_SETFLAGS, &flags) < 0)
		return -errno;
	return r;
}

int remove_inside(int rootfd, const char *path, struct error *e)
{
	_cleanup_(free) char *folder = xstrdup(path);
	char *name = strrchr(folder, '/');

	if (!name || !name[1] || streq(name + 1, ".") || streq(name + 1, ".."))
		return error_text(e, EBADMSG, "remove '%.100s': not a path below the root", path);
	*name++ = '\0';
	_cleanup_(fd) int fd = open_inside(rootfd, folder, O_RDONLY | O_DIRECTORY);

	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == ELOOP
			       ? 0
			       : error_errno(e, errno, "open %s", folder);
	return remove_tree_at(fd, name, e);
}
