#include "enter/nodes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>

/* nftw(3) has no argument of its own for the caller. Set only while one of the functions below runs. */
static struct {
	const char *folder;
	struct strlist *disks;
	int code;
	struct error *e;
} walk;

static bool is_terminal(const char *name)
{
	static const char *const kinds[] = { "tty", "vcs", "console", "ptmx", "kmsg", "pty", "hvc" };

	if (streq(name, "tty"))
		return false; /* each process's own */
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (str_after(name, kinds[i]))
			return true;
	return false;
}

/* pts and shm are mounts of their own, mqueue and hugepages too: nftw stays out of them, their folders need not be. */
static int copy(const char *path, const struct stat *st, int kind, struct FTW *where)
{
	const char *name = str_after(path, "/dev/");
	_cleanup_(free) char *to = name ? xasprintf("%s/%s", walk.folder, name) : NULL;
	char target[4096];
	int r = 0;

	(void)where;
	if (!name)
		return 0;
	if (kind == FTW_D) {
		r = mkdir(to, st->st_mode & 07777);
	} else if (kind == FTW_SL) {
		ssize_t n = readlink(path, target, sizeof(target) - 1);

		target[n > 0 ? n : 0] = '\0';
		r = n < 0 ? -1 : symlink(target, to);
	} else if (S_ISBLK(st->st_mode) || (S_ISCHR(st->st_mode) && !is_terminal(name))) {
		r = mknod(to, st->st_mode, st->st_rdev);
		if (r == 0)
			r = chmod(to, st->st_mode & 07777); /* whatever the umask */
	}
	if (r < 0 && errno != EEXIST && errno != ENOENT)
		walk.code = error_errno(walk.e, errno, "make %s", to);
	return walk.code;
}

static int list(const char *path, const struct stat *st, int kind, struct FTW *where)
{
	(void)where;
	if (kind == FTW_F && (S_ISBLK(st->st_mode) || streq(path, "/dev/mapper/control")))
		strlist_add(walk.disks, path);
	return 0;
}

static int run(int (*each)(const char *, const struct stat *, int, struct FTW *), struct error *e)
{
	walk.code = 0;
	walk.e = e;
	if (nftw("/dev", each, 16, FTW_PHYS | FTW_MOUNT) < 0)
		return error_errno(e, errno, "read folder /dev");
	return walk.code;
}

int nodes_copy(const char *folder, struct error *e)
{
	walk.folder = folder;
	return run(copy, e);
}

int nodes_of_disks(struct strlist *ret, struct error *e)
{
	walk.disks = ret;
	return run(list, e);
}
