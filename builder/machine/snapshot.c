#include "machine/snapshot.h"

#include "base/fs.h"
#include "machine/btrfs.h"
#include "machine/detached.h"
#include "machine/mounts.h"
#include "machine/snapshot_lvm.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>

/* Who holds its lock may take snapshots and remove them. */
static const char lock_path[] = "/run/lifeboat-snapshots.lock";

static int remove_all(struct error *e)
{
	_cleanup_(strlist) struct strlist nodes = { 0 };
	_cleanup_(mounts) struct mounts *mounts = NULL;
	int r = mounts_load(&mounts, e);

	if (r == 0)
		mounts_btrfs(mounts, &nodes);
	for (size_t i = 0; r == 0 && i < nodes.count; i++)
		r = btrfs_remove_snapshots(nodes.items[i], e);
	return r < 0 ? r : lvm_snapshots_remove(e);
}

/* ---- the keeper ---- */

/* Holds the lock as long as it is there. Whoever still reads a snapshot when this process is killed gets its signal from that. */
_Noreturn static void keep(int fd, int lock_fd)
{
	static const int ignored[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE };
	struct error e;
	char byte;

	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		(void)signal(ignored[i], SIG_IGN); /* valid numbers cannot fail */
	(void)setsid(); /* a fresh child leads no group */
	/* it must hold nothing else open that somebody waits to see closed */
	if (dup2(fd, STDIN_FILENO) < 0 || dup2(lock_fd, STDOUT_FILENO) < 0)
		_exit(1);
	(void)close_range(STDERR_FILENO + 1, ~0U, 0); /* ENOSYS: old kernel, it holds them then */
	while (read(STDIN_FILENO, &byte, 1) < 0 && errno == EINTR)
		;
	if (remove_all(&e) == 0)
		_exit(0);
	(void)dprintf(STDERR_FILENO, "lifeboat: %s\n", e.text); /* nobody else is left to be told */
	_exit(1);
}

static int start_keeper(struct snapshots *s, int lock_fd, struct error *e)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_errno(e, errno, "start the keeper of snapshots");
	_cleanup_(fd) int read_end = ends[0];
	_cleanup_(fd) int write_end = ends[1];
	pid_t pid = fork();

	if (pid < 0)
		return error_errno(e, errno, "start the keeper of snapshots");
	if (pid == 0) {
		(void)close(TAKE_FD(write_end)); /* else it would never see its end */
		keep(read_end, lock_fd);
	}
	s->keeper = pid;
	s->keeper_fd = TAKE_FD(write_end);
	return 0;
}

static int begin(struct snapshots *s, struct error *e)
{
	_cleanup_(fd) int lock_fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (lock_fd < 0)
		return error_errno(e, errno, "open %s", lock_path);
	if (flock(lock_fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK
			       ? error_text(e, EBUSY, "another backup of this machine is running")
			       : error_errno(e, errno, "lock %s", lock_path);
	int r = remove_all(e);

	return r < 0 ? r : start_keeper(s, lock_fd, e);
}

void snapshots_begin(struct snapshots *s, struct report *report)
{
	struct error e;

	if (begin(s, &e) < 0)
		report_warn(report, "no snapshots: %s", e.text);
}

/* ---- taking ---- */

static void add(struct snapshots *s, const struct device *d, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0) { /* of an open folder: cannot fail */
		(void)close(fd);
		return;
	}
	s->items = xgrow(s->items, s->count + 1, &s->capacity, sizeof(*s->items));
	s->items[s->count++] = (struct snapshot) {
		.of = d,
		.fd = fd,
		.folder = xasprintf("/proc/self/fd/%d/.", fd),
		.device = st.st_dev,
	};
}

static void take_btrfs(struct snapshots *s, const struct device *d, struct report *report)
{
	struct error e;
	int fd = -1;

	if (btrfs_snapshot(d, (unsigned)s->count + 1, &fd, &e) == 0)
		add(s, d, fd);
	else
		report_warn(report, "no snapshot of subvolume %s of %s: %s", d->subvolume.path,
			    d->parent->name, e.text);
}

/* XFS knows the UUID already, from the volume itself. */
static void mount_volume(struct snapshots *s, const struct device *d, const char *node, struct report *report)
{
	const struct mount_option options[] = { { "ro", NULL },
						{ streq(d->content.type, "xfs") ? "nouuid" : NULL, NULL },
						{ NULL, NULL } };
	struct error e;
	int fd = -1;

	if (mount_detached(d->content.type, node, false, options, &fd, &e) == 0)
		add(s, d, fd);
	else
		report_warn(report, "no snapshot of volume %s: %s", d->name, e.text);
}

static bool is_written(const struct device *d)
{
	const char *folder = d->content.mountpoint;
	struct statvfs fs;

	return d->kind == DEVICE_SUBVOLUME ? !d->subvolume.read_only
					   : folder && statvfs(folder, &fs) == 0 && !(fs.f_flag & ST_RDONLY);
}

void snapshots_take(struct snapshots *s, struct device *const devices[], size_t count, struct report *report)
{
	struct device **volumes = xcalloc(count + 1, sizeof(*volumes));
	char **nodes = xcalloc(count + 1, sizeof(*nodes));
	size_t n = 0;

	if (s->keeper <= 0)
		count = 0;
	/* what is changed in this second may or may not be in them: the next level saves it again */
	s->as_of = (int64_t)time(NULL) - 1;
	for (size_t i = 0; i < count; i++)
		if (devices[i]->kind == DEVICE_VOLUME && is_written(devices[i]))
			volumes[n++] = devices[i];
	lvm_snapshots_make(volumes, n, nodes, report);
	for (size_t i = 0; i < count; i++)
		if (devices[i]->kind == DEVICE_SUBVOLUME && is_written(devices[i]))
			take_btrfs(s, devices[i], report);
	for (size_t i = 0; i < n; i++) {
		if (nodes[i])
			mount_volume(s, volumes[i], nodes[i], report);
		free(nodes[i]);
	}
	free(nodes);
	free(volumes);
}

const struct snapshot *snapshots_find(const struct snapshots *s, const struct device *d)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->items[i].of == d)
			return &s->items[i];
	return NULL;
}

int snapshots_check(const struct snapshots *s, struct error *e)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->items[i].of->kind == DEVICE_VOLUME)
			return lvm_snapshots_check(e);
	return 0;
}

/* ---- the end ---- */

int snapshots_end(struct snapshots *s, struct error *e)
{
	pid_t pid = s->keeper, reaped;
	int status = 0;

	for (size_t i = 0; i < s->count; i++) {
		(void)close(s->items[i].fd); /* read side */
		free(s->items[i].folder);
	}
	free(s->items);
	if (s->keeper_fd >= 0)
		(void)close(s->keeper_fd); /* a pipe holds nothing back */
	*s = (struct snapshots)SNAPSHOTS_NONE;
	if (pid <= 0)
		return 0;
	while ((reaped = waitpid(pid, &status, 0)) < 0 && errno == EINTR)
		;
	if (reaped < 0)
		return error_errno(e, errno, "wait for the keeper of snapshots");
	return status == 0 ? 0
			   : error_text(e, EIO,
					"snapshots of this backup are still there, see above: the next one "
					"tries to remove them");
}

void snapshots_drop(struct snapshots *s)
{
	struct error e;

	(void)snapshots_end(s, &e); /* the keeper has said what failed */
}
