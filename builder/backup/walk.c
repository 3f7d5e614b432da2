#include "backup/walk.h"

#include "base/fs.h"
#include "base/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>

struct walk {
	const struct set_source *source;
	struct strbuf path; /* of where the walk is */
	int (*each)(void *user, const struct walked *file, struct error *e);
	void *user;
	struct error *e;
};

static int failed(struct walk *w)
{
	return error_errno(w->e, errno, "read %s/%s", streq(w->source->shown, "/") ? "" : w->source->shown,
			   w->path.data);
}

static int walk_folder(struct walk *w, int fd);

static bool belongs(const struct set_source *source, const struct stat *st)
{
	return st->st_dev == source->device &&
	       !(source->placeholder && S_ISDIR(st->st_mode) && st->st_ino == source->placeholder);
}

static int walk_entry(struct walk *w, int dirfd, const char *name)
{
	struct walked file = { .dirfd = dirfd, .name = name };
	size_t before = w->path.len;
	int fd = -1, r;

	strbuf_printf(&w->path, "%s%s", before ? "/" : "", name);
	file.path = w->path.data;
	if (fstatat(dirfd, name, &file.st, AT_SYMLINK_NOFOLLOW) < 0)
		r = errno == ENOENT ? 0 : failed(w); /* it went away meanwhile: the machine is alive */
	else if (!belongs(w->source, &file.st))
		r = 0;
	else
		r = w->each(w->user, &file, w->e);
	if (r == 0 && belongs(w->source, &file.st) && S_ISDIR(file.st.st_mode)) {
		fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NOATIME);
		if (fd >= 0)
			r = walk_folder(w, fd);
		else if (errno != ENOENT)
			r = failed(w);
	}
	w->path.len = before;
	w->path.data[before] = '\0';
	return r < 0 ? r : 0;
}

/* Owns `fd`. */
static int walk_folder(struct walk *w, int fd)
{
	DIR *d = fdopendir(fd);
	const struct dirent *entry;
	int r = 0;

	if (!d) {
		r = failed(w);
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
		r = failed(w);
	(void)closedir(d); /* read side */
	return r;
}

/* A copy of the one mount, detached from the tree. */
static int open_mount(const char *mountpoint)
{
	_cleanup_(fd) int tree =
		open_tree(AT_FDCWD, mountpoint, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW);

	return tree < 0 ? open(mountpoint, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
			: openat(tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int walk_root(struct walk *w, int *fd)
{
	struct walked root = { .dirfd = *fd, .name = ".", .path = "." };

	if (fstat(*fd, &root.st) < 0)
		return failed(w);
	if (root.st.st_dev != w->source->device) /* one mount may lie over another, or be gone by now */
		return error_text(w->e, ESTALE, "%s: it is not the file system that the survey found there",
				  w->source->shown);
	int r = w->each(w->user, &root, w->e);

	return r ? r : walk_folder(w, TAKE_FD(*fd));
}

int walk_open(const struct set_source *source, int *ret_fd, struct error *e)
{
	int fd = open_mount(source->folder);

	if (fd < 0)
		return error_errno(e, errno, "open %s", source->shown);
	*ret_fd = fd;
	return 0;
}

int walk_filesystem(const struct set_source *source,
		    int (*each)(void *user, const struct walked *file, struct error *e), void *user,
		    struct error *e)
{
	struct walk w = { .source = source, .each = each, .user = user, .e = e };
	_cleanup_(fd) int fd = -1;
	int r = walk_open(source, &fd, e);

	if (r < 0)
		return r;
	strbuf_puts(&w.path, "");
	r = walk_root(&w, &fd);

	strbuf_free(&w.path);
	return r < 0 ? r : 0;
}

static int64_t nanoseconds(const struct timespec *t)
{
	return t->tv_sec * INT64_C(1000000000) + t->tv_nsec;
}

bool walked_changed_since(const struct walked *file, const struct timespec *moment)
{
	enum { clock_grain = 20000000 }; /* nanoseconds */

	return nanoseconds(&file->st.st_ctim) >= nanoseconds(moment) - clock_grain;
}
