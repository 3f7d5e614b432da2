#include "base/fs.h"
#include "base/leftover.h"
#include "base/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

/* Nobody else calls a folder so: what is named so, ours and not locked by a running program, a killed one left. */
static const char prefix[] = "lifeboat.tmp.";

const char *temp_folder(void)
{
	const char *base = getenv("TMPDIR");

	return base && *base ? base : "/var/tmp";
}

static void remove_if_left(int base, const char *name)
{
	struct stat st;
	_cleanup_(fd) int fd = openat(base, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == geteuid() && flock(fd, LOCK_EX | LOCK_NB) == 0)
		(void)remove_tree_at(base, name, NULL); /* the next run tries again */
}

/* What killed runs left behind. Failing is no failure of ours: it is somebody else's rubbish. */
static void sweep(const char *base)
{
	DIR *d = opendir(base);

	for (const struct dirent *entry; d && (entry = readdir(d));)
		if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0)
			remove_if_left(dirfd(d), entry->d_name);
	if (d)
		(void)closedir(d); /* read side */
}

static int make(const char *base, struct tempdir *t, struct error *e)
{
	struct stat st;

	t->path = xasprintf("%s/%sXXXXXX", base, prefix);
	if (!mkdtemp(t->path)) {
		int r = error_errno(e, errno, "make a temporary folder %s", t->path);

		free(TAKE_PTR(t->path));
		return r;
	}
	t->leftover = leftover_note(AT_FDCWD, t->path);
	t->fd = open(t->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (t->fd < 0)
		return error_errno(e, errno, "open %s", t->path);
	(void)flock(t->fd, LOCK_EX | LOCK_NB); /* where a file system has no locks, nobody can sweep either */
	if (fstat(t->fd, &st) < 0)
		return error_errno(e, errno, "open %s", t->path);
	return st.st_nlink > 0 ? 0 : -EAGAIN; /* another run swept it away before it was locked */
}

static int make_swept(const char *base, struct tempdir *ret, struct error *e)
{
	int r;

	sweep(base);
	do {
		_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;

		r = make(base, &t, e);
		if (r == 0) {
			*ret = t;
			t = (struct tempdir)TEMPDIR_NONE;
		}
	} while (r == -EAGAIN);
	return r;
}

int tempdir_make(struct tempdir *ret, struct error *e)
{
	return make_swept(temp_folder(), ret, e);
}

int tempdir_make_in_memory(struct tempdir *ret, struct error *e)
{
	static const char *const folders[] = { "/dev/shm", "/run" };
	const char *wish = getenv("TMPDIR");

	for (size_t i = 0; !(wish && *wish) && i < sizeof(folders) / sizeof(*folders); i++)
		if (access(folders[i], W_OK | X_OK) == 0)
			return make_swept(folders[i], ret, e);
	return tempdir_make(ret, e);
}

void tempdir_remove(struct tempdir *t)
{
	if (t->path)
		(void)remove_tree_at(AT_FDCWD, t->path, NULL); /* nobody is left to be told */
	leftover_forget(t->leftover);
	if (t->fd >= 0)
		(void)close(t->fd); /* read side */
	free(t->path);
	*t = (struct tempdir)TEMPDIR_NONE;
}
