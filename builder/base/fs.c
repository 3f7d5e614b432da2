#include "base/fs.h"

#include "base/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

int read_file_fd(int fd, const char *shown, size_t max, char **ret, size_t *ret_len, struct error *e)
{
	_cleanup_(strbuf) struct strbuf b = { 0 };
	char chunk[65536];

	strbuf_puts(&b, "");
	for (;;) {
		ssize_t n = read_full(fd, chunk, sizeof(chunk));

		if (n < 0)
			return error_errno(e, (int)-n, "read %s", shown);
		if (n == 0)
			break;
		if (b.len + (size_t)n > max)
			return error_text(e, EFBIG, "read %s: larger than %zu bytes", shown, max);
		strbuf_add(&b, chunk, (size_t)n);
	}
	if (ret_len)
		*ret_len = b.len;
	*ret = TAKE_PTR(b.data);
	return 0;
}

int read_file_at(int dirfd, const char *path, size_t max, char **ret, size_t *ret_len, struct error *e)
{
	_cleanup_(fd) int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	return fd < 0 ? error_errno(e, errno, "open %s", path) : read_file_fd(fd, path, max, ret, ret_len, e);
}

int fill_standard_fds(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd < 0)
		return negative_errno();
	(void)close(fd); /* nothing was written to it */
	return 0;
}

int memory_file(struct error *e)
{
	int fd = memfd_create("lifeboat", MFD_CLOEXEC);

	return fd < 0 ? error_errno(e, errno, "make a file in memory") : fd;
}

int make_pipe(int fds[2], struct error *e)
{
	enum { size = 1 << 20 };

	if (pipe2(fds, O_CLOEXEC) < 0)
		return error_errno(e, errno, "make a pipe");
	(void)fcntl(fds[0], F_SETPIPE_SZ, size); /* a smaller one is only slower */
	return 0;
}

int write_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return negative_errno();
		}
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int pwrite_all(int fd, const void *data, size_t len, off_t offset)
{
	const char *p = data;

	while (len > 0) {
		ssize_t n = pwrite(fd, p, len, offset);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return negative_errno();
		}
		p += n;
		offset += n;
		len -= (size_t)n;
	}
	return 0;
}

void flush_begin(int fd)
{
	(void)sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE); /* what fails here fails in fsync() */
}

ssize_t read_full(int fd, void *data, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = read(fd, (char *)data + done, len - done);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return negative_errno();
		}
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

ssize_t pread_full(int fd, void *data, size_t len, off_t offset)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(fd, (char *)data + done, len - done, offset + (off_t)done);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return negative_errno();
		}
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

int mkdir_parents_at(int dirfd, const char *path, mode_t mode, struct error *e)
{
	_cleanup_(free) char *copy = xstrdup(path);

	for (char *p = copy + 1;; p++) {
		if (*p != '/' && *p != '\0')
			continue;
		char kept = *p;

		*p = '\0';
		if (mkdirat(dirfd, copy, mode) < 0 && errno != EEXIST)
			return error_errno(e, errno, "make folder %s", copy);
		*p = kept;
		if (!kept)
			break;
	}
	struct stat st;

	if (fstatat(dirfd, path, &st, 0) < 0)
		return error_errno(e, errno, "make folder %s", path);
	if (!S_ISDIR(st.st_mode))
		return error_errno(e, ENOTDIR, "make folder %s", path);
	return 0;
}

static int remove_entry(int dirfd, const char *name, dev_t dev);

/* Empties the folder behind `fd`, staying on device `dev`. Without memory from the heap: a signal handler comes
 * here (leftover.c). */
static int remove_children(int fd, dev_t dev)
{
	/* for seven of the longest names */
	char buffer[2048] __attribute__((aligned(__alignof__(struct dirent64))));
	bool removed = false;

	for (;;) {
		ssize_t n = getdents64(fd, buffer, sizeof(buffer));

		if (n < 0 || (n == 0 && !removed))
			return n < 0 ? negative_errno() : 0;
		if (n == 0) { /* once more: a file system may lose its place when files go away */
			removed = false;
			if (lseek(fd, 0, SEEK_SET) < 0)
				return negative_errno();
			continue;
		}
		for (ssize_t at = 0; at < n;) {
			const struct dirent64 *entry = (const struct dirent64 *)(buffer + at);

			at += entry->d_reclen;
			if (streq(entry->d_name, ".") || streq(entry->d_name, ".."))
				continue;
			int r = remove_entry(fd, entry->d_name, dev);

			if (r < 0)
				return r;
			removed = true;
		}
	}
}

static int remove_entry(int dirfd, const char *name, dev_t dev)
{
	struct stat st;

	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return negative_errno();
	_cleanup_(fd) int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return negative_errno();
	if (fstat(fd, &st) < 0 || st.st_dev != dev)
		return -EXDEV;
	int r = remove_children(fd, dev);

	if (r < 0)
		return r;
	return unlinkat(dirfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? negative_errno() : 0;
}

int remove_tree_at(int dirfd, const char *path, struct error *e)
{
	struct stat st;

	if (fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno == ENOENT)
			return 0;
		return error_errno(e, errno, "remove %s", path);
	}
	int r = remove_entry(dirfd, path, st.st_dev);

	return r < 0 ? error_errno(e, -r, "remove %s", path) : 0;
}
