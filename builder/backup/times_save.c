/* Listing modification times, and in the same walk extended attributes. */
#include "backup/times.h"

#include "backup/xattrs.h"
#include "base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>

struct walk {
	const char *mountpoint;
	FILE *out;
	dev_t dev;
	struct strbuf path; /* of where the walk is */
	struct strbuf *xattrs; /* records of xattrs.h */
	struct error error;
};

static char type_letter(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return 'f';
	case S_IFDIR:
		return 'd';
	case S_IFLNK:
		return 'l';
	case S_IFBLK:
		return 'b';
	case S_IFCHR:
		return 'c';
	case S_IFIFO:
		return 'p';
	default:
		return 's';
	}
}

/* restore(8) takes its 32 bits as if there were no times before 1970. */
static bool fits_dump(const struct timespec *t)
{
	return t->tv_nsec == 0 && t->tv_sec >= 0 && t->tv_sec <= INT32_MAX;
}

/* Before 1970 the fraction counts backwards in decimal notation. */
static int put(struct walk *w, mode_t mode, const struct timespec *t, const char *path)
{
	bool back = t->tv_sec < 0 && t->tv_nsec > 0;
	long long seconds = back ? -(t->tv_sec + 1) : t->tv_sec;
	long nanoseconds = back ? 1000000000 - t->tv_nsec : t->tv_nsec;

	if (fprintf(w->out, "%c %s%lld.%09ld %s", type_letter(mode), back ? "-" : "", seconds, nanoseconds,
		    path) < 0 ||
	    putc('\0', w->out) == EOF)
		return error_errno(&w->error, errno, "list the times of %s", w->mountpoint);
	return 0;
}

/* restore(8) takes a name of 255 bytes for an empty one, and still exits 0: the file is lost, or everything
 * when it is a folder. */
static int refuse_name(struct walk *w, const char *name)
{
	return error_text(
		&w->error, ENAMETOOLONG,
		"%s/%s%s%.20s...: a name of 255 bytes, which restore(8) cannot bring back: shorten it",
		streq(w->mountpoint, "/") ? "" : w->mountpoint, w->path.data, w->path.len ? "/" : "", name);
}

static int walk_folder(struct walk *w, int fd);

static int walk_entry(struct walk *w, int dirfd, const char *name)
{
	size_t before = w->path.len;
	struct stat st;
	int r = 0;

	if (strlen(name) >= 255)
		return refuse_name(w, name);
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		/* It went away meanwhile: the machine is alive. */
		return errno == ENOENT ? 0 : error_errno(&w->error, errno, "read %s/%s", w->path.data, name);
	if (st.st_dev != w->dev)
		return 0;
	strbuf_printf(&w->path, "%s%s", before ? "/" : "", name);
	if (S_ISDIR(st.st_mode)) {
		int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NOATIME);

		if (fd >= 0)
			r = walk_folder(w, fd);
		else if (errno != ENOENT)
			r = error_errno(&w->error, errno, "read %s/%s", w->mountpoint, w->path.data);
	}
	if (r == 0)
		r = xattrs_list(w->xattrs, dirfd, name, w->path.data, &w->error);
	if (r == 0 && !fits_dump(&st.st_mtim))
		r = put(w, st.st_mode, &st.st_mtim, w->path.data);
	w->path.len = before;
	w->path.data[before] = '\0';
	return r;
}

/* Owns `fd`. */
static int walk_folder(struct walk *w, int fd)
{
	DIR *d = fdopendir(fd);
	const struct dirent *entry;
	int r = 0;

	if (!d) {
		r = error_errno(&w->error, errno, "read %s/%s", w->mountpoint, w->path.data);
		(void)close(fd); /* read side */
		return r;
	}
	errno = 0;
	while (r == 0 && (entry = readdir(d))) {
		if (!streq(entry->d_name, ".") && !streq(entry->d_name, ".."))
			r = walk_entry(w, dirfd(d), entry->d_name);
		errno = 0;
	}
	if (r == 0 && errno)
		r = error_errno(&w->error, errno, "read %s/%s", w->mountpoint, w->path.data);
	(void)closedir(d); /* read side */
	return r;
}

/* A copy of the one mount, detached from the tree: what lies below other mount points is seen as well.
 * Needs root; without it those places stay unlisted. */
static int open_mount(const char *mountpoint)
{
	_cleanup_(fd) int tree =
		open_tree(AT_FDCWD, mountpoint, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW);

	return tree < 0 ? open(mountpoint, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
			: openat(tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int walk_all(struct walk *w)
{
	int fd = open_mount(w->mountpoint);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0) {
		int r = error_errno(&w->error, errno, "open %s", w->mountpoint);

		if (fd >= 0)
			(void)close(fd); /* read side */
		return r;
	}
	w->dev = st.st_dev;
	strbuf_puts(&w->path, "");
	int r = xattrs_list(w->xattrs, fd, ".", ".", &w->error);

	if (r < 0) {
		(void)close(fd); /* read side */
		return r;
	}
	r = walk_folder(w, fd);
	return r < 0 ? r : put(w, st.st_mode, &st.st_mtim, ".");
}

static void *walker(void *user)
{
	struct walk *w = user;
	int r = walk_all(w);

	if (fclose(w->out) != 0 && r == 0)
		(void)error_errno(&w->error, errno, "list the times of %s", w->mountpoint);
	strbuf_free(&w->path);
	return NULL;
}

int times_save(struct set_writer *w, const char *name, const char *mountpoint, struct strbuf *xattrs,
	       struct error *e)
{
	struct walk walk = { .mountpoint = mountpoint, .xattrs = xattrs };
	struct report quiet;
	pthread_t thread;
	int fds[2];

	report_init(&quiet, VERBOSITY_QUIET, false);
	if (pipe2(fds, O_CLOEXEC) < 0)
		return error_errno(e, errno, "make a pipe");
	_cleanup_(fd) int out = fds[0];

	walk.out = fdopen(fds[1], "w");
	if (!walk.out) {
		(void)close(fds[1]); /* nothing was written */
		return error_errno(e, ENOMEM, "make a pipe");
	}
	int r = pthread_create(&thread, NULL, walker, &walk);

	if (r) {
		(void)fclose(walk.out); /* nothing was written */
		return error_errno(e, r, "start a thread");
	}
	r = set_add_stream(w, name, TIMES_METHOD, out, 0, &quiet, e);
	(void)close(TAKE_FD(out)); /* read side: a walker that still writes gets EPIPE */
	(void)pthread_join(thread, NULL); /* ours, joinable, once */
	if (r == 0 && walk.error.code) {
		*e = walk.error;
		r = -e->code;
	}
	return r;
}
