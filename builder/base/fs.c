#include "base/fs.h"

#include "base/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sys/stat.h>

int read_file_at(int dirfd, const char *path, size_t max, char **ret, size_t *ret_len, struct error *e)
{
	_cleanup_(fd) int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return error_errno(e, errno, "open %s", path);
	_cleanup_(strbuf) struct strbuf b = { 0 };
	char chunk[65536];

	strbuf_puts(&b, "");
	for (;;) {
		ssize_t n = read_full(fd, chunk, sizeof(chunk));

		if (n < 0)
			return error_errno(e, (int)-n, "read %s", path);
		if (n == 0)
			break;
		if (b.len + (size_t)n > max)
			return error_text(e, EFBIG, "read %s: larger than %zu bytes", path, max);
		strbuf_add(&b, chunk, (size_t)n);
	}
	if (ret_len)
		*ret_len = b.len;
	*ret = TAKE_PTR(b.data);
	return 0;
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

/* Opens the folder that holds `path`. */
static int open_parent(int dirfd, const char *path, int *ret_fd)
{
	_cleanup_(free) char *copy = xstrdup(path);
	int fd = openat(dirfd, dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return negative_errno();
	*ret_fd = fd;
	return 0;
}

int outfile_open(int dirfd, const char *path, mode_t mode, struct outfile *ret, struct error *e)
{
	_cleanup_(outfile) struct outfile f = OUTFILE_NONE;
	int r = open_parent(dirfd, path, &f.dirfd);

	if (r < 0)
		return error_errno(e, -r, "create %s", path);
	_cleanup_(free) char *copy = xstrdup(path);
	_cleanup_(free) char *goal = xstrdup(basename(copy));

	/* Names are tried in order; O_EXCL makes sure that nobody else's file is taken. */
	for (unsigned try = 0; try < 1000; try++) {
		_cleanup_(free) char *temp = xasprintf(".%s.%d-%u.tmp", goal, (int)getpid(), try);
		int fd = openat(f.dirfd, temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

		if (fd < 0 && errno == EEXIST)
			continue;
		if (fd < 0)
			return error_errno(e, errno, "create %s", path);
		f.fd = fd;
		f.temp = TAKE_PTR(temp);
		break;
	}
	if (f.fd < 0)
		return error_errno(e, EEXIST, "create %s", path);
	if (fchmod(f.fd, mode) < 0)
		return error_errno(e, errno, "create %s: set its mode", path);
	f.goal = TAKE_PTR(goal);
	f.shown = xstrdup(path);
	*ret = f;
	f = (struct outfile)OUTFILE_NONE;
	return 0;
}

int outfile_commit(struct outfile *f, struct error *e)
{
	if (fsync(f->fd) < 0)
		return error_errno(e, errno, "write %s", f->shown);
	if (close(TAKE_FD(f->fd)) < 0)
		return error_errno(e, errno, "write %s", f->shown);
	if (renameat(f->dirfd, f->temp, f->dirfd, f->goal) < 0)
		return error_errno(e, errno, "create %s", f->shown);
	free(TAKE_PTR(f->temp));
	if (fsync(f->dirfd) < 0)
		return error_errno(e, errno, "write the folder of %s", f->shown);
	return 0;
}

void outfile_abort(struct outfile *f)
{
	if (f->fd >= 0)
		(void)close(f->fd); /* thrown away */
	if (f->temp)
		(void)unlinkat(f->dirfd, f->temp, 0); /* nothing more can be done about it */
	if (f->dirfd >= 0)
		(void)close(f->dirfd);
	free(f->goal);
	free(f->temp);
	free(f->shown);
	*f = (struct outfile)OUTFILE_NONE;
}

int write_file_at(int dirfd, const char *path, mode_t mode, const void *data, size_t len, struct error *e)
{
	_cleanup_(outfile) struct outfile f = OUTFILE_NONE;
	int r = outfile_open(dirfd, path, mode, &f, e);

	if (r < 0)
		return r;
	r = write_all(f.fd, data, len);
	if (r < 0)
		return error_errno(e, -r, "write %s", path);
	return outfile_commit(&f, e);
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

/* Empties the folder behind `fd` (which this owns), staying on device `dev`. */
static int remove_children(int fd, dev_t dev)
{
	DIR *d = fdopendir(fd);
	int r = 0;

	if (!d) {
		r = -errno;
		(void)close(fd); /* read side */
		return r;
	}
	for (;;) {
		errno = 0;
		const struct dirent *entry = readdir(d);

		if (!entry) {
			r = -errno;
			break;
		}
		if (streq(entry->d_name, ".") || streq(entry->d_name, ".."))
			continue;
		r = remove_entry(dirfd(d), entry->d_name, dev);
		if (r < 0)
			break;
	}
	(void)closedir(d); /* read side */
	return r;
}

static int remove_entry(int dirfd, const char *name, dev_t dev)
{
	struct stat st;

	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return negative_errno();
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return negative_errno();
	if (fstat(fd, &st) < 0 || st.st_dev != dev) {
		(void)close(fd); /* read side */
		return -EXDEV;
	}
	int r = remove_children(fd, dev);

	if (r < 0)
		return r;
	return unlinkat(dirfd, name, AT_REMOVEDIR) < 0 ? negative_errno() : 0;
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

int tempdir_make(struct tempdir *ret, struct error *e)
{
	const char *base = getenv("TMPDIR");
	_cleanup_(free) char *path = xasprintf("%s/lifeboat.XXXXXX", base && *base ? base : "/var/tmp");

	if (!mkdtemp(path))
		return error_errno(e, errno, "make a temporary folder %s", path);
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0) {
		int code = errno;

		(void)rmdir(path); /* it is empty */
		return error_errno(e, code, "open %s", path);
	}
	ret->path = TAKE_PTR(path);
	ret->fd = fd;
	return 0;
}

void tempdir_remove(struct tempdir *t)
{
	if (t->fd >= 0)
		(void)close(t->fd); /* read side */
	if (t->path)
		(void)remove_tree_at(AT_FDCWD, t->path, NULL); /* nobody is left to be told */
	free(t->path);
	*t = (struct tempdir)TEMPDIR_NONE;
}
