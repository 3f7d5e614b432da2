/* Targets: the table of kinds, opening and closing. */
#include "backup/tape.h"
#include "backup/target_kind.h"

#include "base/fs.h"
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

static const struct target_kind *const kinds[] = { &target_smb, &target_nfs, &target_file, &target_dev,
						   &target_disk };

const struct target_kind *target_kind_find(const char *scheme)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (streq(kinds[i]->scheme, scheme))
			return kinds[i];
	return NULL;
}

/* ---- running mount.X ---- */

static int explain(const char *said, const char *shown, const struct mount_reason *reasons, struct error *e)
{
	for (; reasons->phrase; reasons++)
		if (strstr(said, reasons->phrase))
			return error_text(e, reasons->code, "open %s: %s", shown, reasons->meaning);
	return error_text(e, EIO, "open %s: %.*s", shown, (int)strcspn(said, "\n"), said);
}

int target_run_mount(const char *const argv[], const char *shown, unsigned seconds,
		     const struct mount_reason *reasons, struct error *e)
{
	_cleanup_(proc) struct proc p = PROC_NONE;
	_cleanup_(fd) int said_fd = memfd_create("said", MFD_CLOEXEC);
	/* The reasons are looked for in English. */
	const char *const env[] = { "LC_ALL=C", NULL };
	char said[4096];

	if (said_fd < 0)
		return error_errno(e, errno, "open %s", shown);
	struct proc_options o = { .stdout_fd = said_fd, .stderr_fd = said_fd, .env = env };
	int r = proc_spawn(argv, &o, &p, e);

	if (r == 0)
		r = proc_wait_within(&p, seconds, e);
	if (r == 0)
		return 0;
	if (r == -ETIMEDOUT)
		return error_text(e, ETIMEDOUT, "open %s: the server does not answer within %u seconds",
				  shown, seconds);
	ssize_t n = pread_full(said_fd, said, sizeof(said) - 1, 0);

	if (n <= 0) {
		error_prefix(e, "open %s", shown);
		return r;
	}
	said[n] = '\0';
	return explain(str_strip(said), shown, reasons, e);
}

int target_check_credentials(const char *path, struct error *e)
{
	_cleanup_(fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(e, errno, "open credentials file %s", path);
	if (!S_ISREG(st.st_mode))
		return error_text(e, EINVAL, "credentials file %s: it is not a regular file", path);
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return error_text(e, EPERM, "credentials file %s: it belongs to another user (chown root %s)",
				  path, path);
	if (st.st_mode & 077)
		return error_text(e, EPERM, "credentials file %s: others can read it (chmod 600 %s)", path,
				  path);
	return 0;
}

/* ---- the mount namespace ---- */

static const char mounts_folder[] = "/run/lifeboat";

/* From the first call on this process has a mount namespace of its own, with a tmpfs of its own for mount
 * points: when the process ends, however it does, the kernel takes all of it back. */
static int private_mounts(struct error *e)
{
	static bool done;

	if (done)
		return 0;
	int r = mkdir_parents_at(AT_FDCWD, mounts_folder, 0700, e);

	if (r < 0)
		return r;
	if (unshare(CLONE_NEWNS) < 0)
		return errno == EPERM ? error_text(e, EPERM, "mount: mounting needs root")
				      : error_errno(e, errno, "make a mount namespace");
	/* What is mounted here is seen here only; what is unmounted elsewhere is so here, too, or its disk would stay in use. */
	if (mount("none", "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return error_errno(e, errno, "make the mount namespace private");
	if (mount("tmpfs", mounts_folder, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") < 0)
		return error_errno(e, errno, "mount a tmpfs on %s", mounts_folder);
	done = true;
	return 0;
}

/* Mounts what the URL names. When it is to be written and folders at the end of its path are still to be
 * made, the longest part that exists is mounted, and they come back in `*ret_below` (else ""). */
static int mount_longest(const struct target_kind *kind, const struct target_url *u,
			 const struct target_options *o, const char *folder, char **ret_below,
			 struct error *e)
{
	_cleanup_(free) char *all = xasprintf("%s%s%s", u->share, *u->path ? "/" : "", u->path);
	/* of a disk always all of it */
	_cleanup_(free) char *source = xstrdup(kind->disk ? u->share : all);
	int r = kind->mount(u, o, source, folder, e);

	/* a server of NFS 3 may deny access to what is not there */
	while ((r == -ENOENT || (r == -EACCES && kind == &target_nfs)) && o->write) {
		char *slash = strrchr(source, '/');

		if (!slash || slash == source)
			break;
		*slash = '\0';
		r = kind->mount(u, o, source, folder, e);
	}
	if (r < 0)
		return r;
	*ret_below = xstrdup(all + strlen(source) + (all[strlen(source)] == '/'));
	return 0;
}

static int mount_privately(const struct target_kind *kind, const struct target_url *u,
			   const struct target_options *o, struct target *t, char **ret_below,
			   struct error *e)
{
	int r = private_mounts(e);

	if (r < 0)
		return r;
	_cleanup_(free) char *folder = xasprintf("%s/target.XXXXXX", mounts_folder);

	if (!mkdtemp(folder))
		return error_errno(e, errno, "make a folder %s", folder);
	r = mount_longest(kind, u, o, folder, ret_below, e);
	if (r < 0) {
		(void)rmdir(folder); /* on a tmpfs that goes away with us */
		return r;
	}
	t->mounted = TAKE_PTR(folder);
	return 0;
}

/* ---- opening ---- */

static struct target_options with_defaults(const struct target_options *options)
{
	struct target_options o = options ? *options : (struct target_options) { 0 };

	if (!o.timeout)
		o.timeout = 30;
	return o;
}

/* Opens `below` in the mounted share; a target that is written is made as far as it is missing. */
static int open_below(const char *mounted, const char *below, const struct target_options *o,
		      struct target *t, struct error *e)
{
	t->path = *below ? xasprintf("%s/%s", mounted, below) : xstrdup(mounted);
	_cleanup_(fd) int root = open(mounted, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (root < 0)
		return error_errno(e, errno, "open %s", t->shown);
	if (*below && o->write) {
		int r = mkdir_parents_at(root, below, 0700, e);

		if (r < 0) {
			error_prefix(e, "open %s", t->shown);
			return r;
		}
	}
	t->dirfd = openat(root, *below ? below : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return t->dirfd < 0 ? error_errno(e, errno, "open %s", t->shown) : 0;
}

static int open_folder(const struct target_url *u, struct target *t, struct error *e)
{
	struct stat st;

	t->path = xstrdup(u->path);
	t->dirfd = open(u->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* It is not made: the folder of a disk that is not mounted must not turn up on another disk. */
	if (t->dirfd < 0)
		return error_errno(e, errno, "open %s", t->shown);
	if (fstat(t->dirfd, &st) < 0)
		return error_errno(e, errno, "open %s", t->shown);
	t->disk = st.st_dev;
	return 0;
}

static int open_device(const struct target_url *u, const struct target_options *o, struct target *t,
		       struct error *e)
{
	struct tape tape = { 0 };
	struct stat st;
	int r;

	t->path = xstrdup(u->path);
	if (o->write) {
		r = tape_open_for_writing(u->path, t->shown, o->overwrite, &t->dirfd, &tape, e);
	} else {
		t->dirfd = open(u->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		r = t->dirfd < 0 ? error_errno(e, errno, "open %s", t->shown)
				 : tape_scan(t->dirfd, t->shown, &tape, e);
	}
	if (r < 0)
		return r;
	t->tape = xmalloc(sizeof(*t->tape));
	*t->tape = tape;
	if (fstat(t->dirfd, &st) < 0)
		return error_errno(e, errno, "open %s", t->shown);
	t->disk = S_ISBLK(st.st_mode) ? st.st_rdev : st.st_dev;
	return 0;
}

int target_room(const struct target *t, uint64_t *ret, struct error *e)
{
	struct statvfs fs;

	if (t->tape) {
		*ret = t->tape->size > t->tape->end ? t->tape->size - t->tape->end : 0;
		return 0;
	}
	if (fstatvfs(t->dirfd, &fs) < 0)
		return error_errno(e, errno, "look at %s", t->shown);
	*ret = (uint64_t)fs.f_bavail * fs.f_frsize;
	return 0;
}

int target_content(const char *url, char **ret, struct error *e)
{
	_cleanup_(target_url) struct target_url u = { 0 };
	int r = target_url_parse(url, &u, e);

	if (r < 0)
		return r;
	*ret = NULL;
	return target_kind_find(u.scheme)->is_device ? tape_content(u.path, ret, e) : 0;
}

int target_open(const char *url, const struct target_options *options, struct target *ret,
		struct report *report, struct error *e)
{
	_cleanup_(target_url) struct target_url u = { 0 };
	_cleanup_(target) struct target t = { .dirfd = -1 };
	_cleanup_(free) char *below = NULL;
	const struct target_options o = with_defaults(options);
	int r = target_url_parse(url, &u, e);

	if (r < 0)
		return r;
	const struct target_kind *kind = target_kind_find(u.scheme);

	t.shown = target_url_show(&u);
	report_debug(report, "opening %s", t.shown);
	if (kind->is_device) {
		r = open_device(&u, &o, &t, e);
	} else if (!kind->mount) {
		r = open_folder(&u, &t, e);
	} else {
		r = mount_privately(kind, &u, &o, &t, &below, e);
		if (r == 0)
			r = open_below(t.mounted, below, &o, &t, e);
		if (r == 0 && kind->disk)
			r = kind->disk(&u, &t.disk, e);
	}
	if (r < 0)
		return r;
	t.url = xstrdup(url);
	t.options = o;
	t.credentials = o.credentials ? xstrdup(o.credentials) : NULL;
	t.options.credentials = t.credentials;
	*ret = t;
	t = (struct target) { .dirfd = -1 };
	return 0;
}

/* What one opening made. */
static void give_up(struct target *t)
{
	if (t->shown && t->dirfd >= 0)
		(void)close(t->dirfd); /* read side; what was written was flushed by its writer */
	if (t->mounted) {
		(void)umount2(t->mounted, MNT_DETACH); /* a dead server must not hold us up */
		(void)rmdir(t->mounted); /* on our own tmpfs */
	}
	free(t->path);
	free(t->mounted);
}

int target_reopen(struct target *t, struct report *report, struct error *e)
{
	struct target fresh = { .dirfd = -1 };
	int r = target_open(t->url, &t->options, &fresh, report, e);

	if (r < 0)
		return r;
	give_up(t);
	t->dirfd = fresh.dirfd;
	t->path = TAKE_PTR(fresh.path);
	t->mounted = TAKE_PTR(fresh.mounted);
	fresh.dirfd = -1;
	target_close(&fresh);
	return 0;
}

void target_close(struct target *t)
{
	while (t->replica) {
		struct target *next = t->replica;

		t->replica = TAKE_PTR(next->replica);
		target_close(next);
		free(next);
	}
	give_up(t);
	if (t->tape)
		tape_free(t->tape);
	free(t->tape);
	free(t->shown);
	free(t->url);
	free(t->credentials);
	*t = (struct target) { .dirfd = -1 };
}

int target_mount(const char *url, const struct target_options *options, const char *folder,
		 struct report *report, struct error *e)
{
	_cleanup_(target_url) struct target_url u = { 0 };
	const struct target_options o = with_defaults(options);
	int r = target_url_parse(url, &u, e);

	if (r < 0)
		return r;
	const struct target_kind *kind = target_kind_find(u.scheme);
	_cleanup_(free) char *shown = target_url_show(&u);

	if (kind->is_device)
		return error_text(e, EINVAL, "%s is a tar archive and cannot be mounted: tar -tf %s lists it",
				  shown, u.path);
	report_debug(report, "mounting %s on %s", shown, folder);
	if (kind->mount) {
		_cleanup_(free) char *source = xasprintf("%s%s%s", u.share, *u.path ? "/" : "", u.path);

		if (kind->disk && *u.path)
			return error_text(e, EINVAL,
					  "mount %s: without the folder: a disk is mounted as a whole",
					  shown);
		return kind->mount(&u, &o, source, folder, e);
	}
	if (mount(u.path, folder, NULL, MS_BIND, NULL) < 0)
		return error_errno(e, errno, "mount %s on %s", shown, folder);
	return 0;
}

int target_unmount(const char *folder, struct error *e)
{
	return umount2(folder, UMOUNT_NOFOLLOW) < 0 ? error_errno(e, errno, "unmount %s", folder) : 0;
}
