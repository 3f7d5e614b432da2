#include "machine/detached.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

/* The kernel tells why in words, which are not asked for: errno is enough. */
static int configure(int context, const char *node, const struct mount_option *o)
{
	int r = fsconfig(context, FSCONFIG_SET_STRING, "source", node, 0);

	for (; r == 0 && o && o->key; o++)
		r = fsconfig(context, o->value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, o->key, o->value,
			     0);
	return r < 0 ? r : fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
}

int mount_detached(const char *type, const char *node, bool writable, const struct mount_option *options,
		   int *ret_fd, struct error *e)
{
	_cleanup_(fd) int context = fsopen(type, FSOPEN_CLOEXEC);

	if (context < 0 || configure(context, node, options) < 0)
		return error_errno(e, errno, "mount the %s on %s", type, node);
	_cleanup_(fd) int fd = fsmount(context, FSMOUNT_CLOEXEC,
				       MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOATIME |
					       (writable ? 0 : MOUNT_ATTR_RDONLY));

	/* what mounting returns can only be used as a path; the folder keeps what is needed of it */
	*ret_fd = fd < 0 ? -1 : openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *ret_fd < 0 ? error_errno(e, errno, "mount the %s on %s", type, node) : 0;
}
