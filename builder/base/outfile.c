/* Where the file system can (O_TMPFILE: ext4, XFS, btrfs, tmpfs), the file has no name until it is whole, so nothing is left
 * of it however we end. Elsewhere (FAT, SMB, NFS) it is named .GOAL.PID-N.tmp meanwhile. */
#include "base/fs.h"
#include "base/leftover.h"
#include "base/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

enum { names_max = 1000 };

static char *temp_name(const char *goal, unsigned try)
{
	return xasprintf(".%s.%d-%u.tmp", goal, (int)getpid(), try);
}

/* Whether `name` is one of temp_name()'s, of a process that is no more. */
static bool is_left(const char *name, const char *goal)
{
	size_t len = strlen(goal);
	int pid, end = 0;

	if (name[0] != '.' || strncmp(name + 1, goal, len) != 0)
		return false;
	if (sscanf(name + 1 + len, ".%9d-%*4u.tmp%n", &pid, &end) != 1 || !end || name[1 + len + (size_t)end])
		return false;
	return pid > 0 && kill(pid, 0) < 0 && errno == ESRCH;
}

/* What killed runs left behind for this goal. The folder is read anew through a descriptor of its own. */
static void sweep(int folder, const char *goal)
{
	int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;

	if (!d && fd >= 0)
		(void)close(fd); /* read side */
	for (const struct dirent *entry; d && (entry = readdir(d));)
		if (is_left(entry->d_name, goal))
			(void)unlinkat(folder, entry->d_name, 0); /* the next run tries again */
	if (d)
		(void)closedir(d); /* read side */
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

/* It gets its name through /proc/self/fd, as linkat(2) shows. */
static int open_unnamed(int folder)
{
	if (access("/proc/self/fd", F_OK) < 0)
		return -1;
	return openat(folder, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
}

/* Names are tried in order; O_EXCL makes sure that nobody else's file is taken. */
static int open_named(struct outfile *f)
{
	for (unsigned try = 0; try < names_max; try++) {
		_cleanup_(free) char *temp = temp_name(f->goal, try);
		int fd = openat(f->dirfd, temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

		if (fd < 0 && errno == EEXIST)
			continue;
		if (fd < 0)
			return negative_errno();
		f->fd = fd;
		f->temp = TAKE_PTR(temp);
		f->leftover = leftover_note(f->dirfd, f->temp);
		return 0;
	}
	return -EEXIST;
}

int outfile_open(int dirfd, const char *path, mode_t mode, struct outfile *ret, struct error *e)
{
	_cleanup_(outfile) struct outfile f = OUTFILE_NONE;
	_cleanup_(free) char *copy = xstrdup(path);
	int r = open_parent(dirfd, path, &f.dirfd);

	f.goal = xstrdup(basename(copy));
	f.shown = xstrdup(path);
	if (r < 0)
		return error_errno(e, -r, "create %s", path);
	sweep(f.dirfd, f.goal);
	f.fd = open_unnamed(f.dirfd);
	if (f.fd < 0)
		r = open_named(&f);
	if (r < 0)
		return error_errno(e, -r, "create %s", path);
	if (fchmod(f.fd, mode) < 0)
		return error_errno(e, errno, "create %s: set its mode", path);
	*ret = f;
	f = (struct outfile)OUTFILE_NONE;
	return 0;
}

int outfile_check_space(const struct outfile *f, const char *what, uint64_t need, struct error *e)
{
	struct statvfs fs;
	char wanted[SIZE_TEXT_MAX], there[SIZE_TEXT_MAX];

	if (fstatvfs(f->dirfd, &fs) < 0)
		return error_errno(e, errno, "look for room for %s", what);
	uint64_t room = (uint64_t)fs.f_bavail * fs.f_frsize;

	if (need <= room)
		return 0;
	return error_text(e, ENOSPC, "make %s: it needs %s and its folder has %s free", what,
			  format_size(need, wanted), format_size(room, there));
}

/* Gives the file without a name its goal's, or another one beside it when that is taken or `beside`: a link cannot
 * take the place of what is there, a rename can. */
static int link_name(struct outfile *f, bool beside)
{
	char self[64];

	(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", f->fd); /* it fits */
	errno = EEXIST;
	if (!beside && linkat(AT_FDCWD, self, f->dirfd, f->goal, AT_SYMLINK_FOLLOW) == 0)
		return 0;
	for (unsigned try = 0; errno == EEXIST && try < names_max; try++) {
		_cleanup_(free) char *temp = temp_name(f->goal, try);

		if (linkat(AT_FDCWD, self, f->dirfd, temp, AT_SYMLINK_FOLLOW) < 0)
			continue;
		f->temp = TAKE_PTR(temp);
		f->leftover = leftover_note(f->dirfd, f->temp);
		return 0;
	}
	return negative_errno();
}

static int sync_content(const struct outfile *f, struct error *e)
{
	return fsync(f->fd) < 0 ? error_errno(e, errno, "write %s", f->shown) : 0;
}

/* Named; all but a rename. */
static int finish(struct outfile *f, bool beside, struct error *e)
{
	int r = f->temp ? 0 : link_name(f, beside);

	if (r < 0)
		return error_errno(e, -r, "create %s", f->shown);
	/* Closed before it is renamed: servers of SMB shares refuse to rename what is open. */
	return close(TAKE_FD(f->fd)) < 0 ? error_errno(e, errno, "write %s", f->shown) : 0;
}

static int rename_to_goal(struct outfile *f, struct error *e)
{
	if (!f->temp)
		return 0;
	if (renameat(f->dirfd, f->temp, f->dirfd, f->goal) < 0)
		return error_errno(e, errno, "create %s", f->shown);
	leftover_forget(f->leftover);
	f->leftover = -1;
	free(TAKE_PTR(f->temp));
	return 0;
}

int outfile_commit_all(struct outfile *files, size_t count, struct error *e)
{
	int r = 0;

	/* All of them before the first gets a name: so a journal has less to write than once for each. */
	for (size_t i = 0; r == 0 && i < count; i++)
		r = sync_content(&files[i], e);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = finish(&files[i], count > 1, e);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = rename_to_goal(&files[i], e);
	for (size_t i = 0; r == 0 && i < count; i++)
		if (fsync(files[i].dirfd) < 0)
			r = error_errno(e, errno, "write the folder of %s", files[i].shown);
	return r;
}

int outfile_commit(struct outfile *f, struct error *e)
{
	return outfile_commit_all(f, 1, e);
}

void outfile_abort(struct outfile *f)
{
	if (f->fd >= 0)
		(void)close(f->fd); /* thrown away */
	if (f->temp)
		(void)unlinkat(f->dirfd, f->temp, 0); /* nothing more can be done about it */
	leftover_forget(f->leftover);
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
