#include "base/in_root.h"

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

int open_in_root(int root_fd, const char *path, int flags)
{
	const struct open_how how = { .flags = (unsigned)flags | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT };

	return (int)syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
}

int read_file_in_root(int root_fd, const char *path, size_t max, char **ret, size_t *ret_len, struct error *e)
{
	_cleanup_(fd) int fd = open_in_root(root_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(e, errno, "open %s", path);
	if (!S_ISREG(st.st_mode))
		return error_text(e, EINVAL, "read %s: it is no regular file", path);
	return read_file_fd(fd, path, max, ret, ret_len, e);
}

int open_folder_of(int root_fd, const char *path, const char **ret_name, struct error *e)
{
	const char *slash = strrchr(path, '/');
	_cleanup_(free) char *folder =
		slash && slash > path ? xstrndup(path, (size_t)(slash - path)) : xstrdup(".");
	int fd = open_in_root(root_fd, folder, O_RDONLY | O_DIRECTORY);

	if (fd < 0)
		return error_errno(e, errno, "open %s", folder);
	*ret_name = slash ? slash + 1 : path;
	return fd;
}

/* One folder of `path`, which ends behind it; those before it are there. */
static int make_one(int root_fd, const char *path, mode_t mode, struct error *e)
{
	const char *name;
	_cleanup_(fd) int folder = open_folder_of(root_fd, path, &name, e);

	if (folder < 0)
		return folder;
	return mkdirat(folder, name, mode) == 0 || errno == EEXIST
		       ? 0
		       : error_errno(e, errno, "make folder %s", path);
}

int make_folder_in_root(int root_fd, const char *path, mode_t mode, struct error *e)
{
	_cleanup_(free) char *copy = xstrdup(path);

	for (char *p = copy + strspn(copy, "/"); *p;) {
		p += strcspn(p, "/");
		char kept = *p;

		*p = '\0';
		int r = make_one(root_fd, copy, mode, e);

		if (r < 0)
			return r;
		*p = kept;
		p += strspn(p, "/");
	}
	int fd = open_in_root(root_fd, path, O_PATH | O_DIRECTORY);

	return fd < 0 ? error_errno(e, errno, "open folder %s", path) : fd;
}
