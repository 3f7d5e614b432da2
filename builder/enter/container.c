/* Sources: clone(2), namespaces(7), cgroups(7), pty(7). */
#include "enter/container.h"

#include "base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <linux/magic.h>

#define CGROUPS "/sys/fs/cgroup"

const char container_says[] = "LIFEBOAT ENTERED";
/* After the shell it is over: systemd's own unit would go on to the default target, with what hangs there. And that is of the
 * type idle (systemd.service(5)): each of its programs waits for up to five seconds until there are no other jobs, the last one
 * for its own end. */
const char container_unit_text[] =
	"[Service]\n"
	"Type=simple\n"
	"ExecStart=\n"
	"ExecStart=-/bin/sh -c \"echo; echo 'LIFEBOAT ENTERED: this is the damaged system, exit leaves it'; "
	"if [ -x /bin/bash ]; then /bin/bash -l; else /bin/sh -l; fi\"\n"
	"ExecStopPost=\n"
	"ExecStopPost=-/bin/systemctl --no-block poweroff\n";
/* emergency.service is what systemd starts where rescue.target cannot be reached. */
const char *const container_units[] = { "rescue.service", "emergency.service", NULL };

void container_free(struct container *c)
{
	if (c->pid_fd >= 0)
		(void)close(c->pid_fd); /* a handle only */
	*c = (struct container)CONTAINER_NONE;
}

/* ---- its control group ---- */

/* Groups are folders whose files cannot be removed: empty ones go with rmdir, from within. */
static void remove_groups(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	while (d && (entry = readdir(d)))
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
			remove_groups(fd, entry->d_name);
	if (d)
		(void)closedir(d); /* read side */
	(void)unlinkat(dirfd, name, AT_REMOVEDIR); /* a group that is still in use stays, and does no harm */
}

static bool is_cgroup2(void)
{
	struct statfs fs;

	return statfs(CGROUPS, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC;
}

int container_make_cgroup(struct container_place *place, struct error *e)
{
	if (!is_cgroup2() && mount("cgroup2", CGROUPS, "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return error_errno(e, errno, "mount control groups at %s", CGROUPS);
	char name[] = CGROUPS "/lifeboat-enter.XXXXXX";

	if (!mkdtemp(name))
		return error_errno(e, errno, "make a control group in %s", CGROUPS);
	place->cgroup = xstrdup(name);
	return 0;
}

void container_remove_cgroup(struct container_place *place)
{
	if (place->cgroup)
		remove_groups(AT_FDCWD, place->cgroup);
	free(place->cgroup);
	place->cgroup = NULL;
}

/* ---- its first process ---- */

int container_child(const struct container_place *place, struct error *e)
{
	_cleanup_(free) char *procs = xasprintf("%s/cgroup.procs", place->cgroup);
	_cleanup_(fd) int fd = open(procs, O_WRONLY | O_CLOEXEC);
	sigset_t none;

	if (fd < 0 || write(fd, "0", 1) != 1)
		return error_errno(e, errno, "join the control group %s", place->cgroup);
	(void)sigemptyset(&none);
	if (sigprocmask(SIG_SETMASK, &none, NULL) < 0 || setsid() < 0)
		return error_errno(e, errno, "leave the terminal");
	_cleanup_(fd) int console = open(place->console, O_RDWR | O_CLOEXEC);

	if (console < 0 || ioctl(console, TIOCSCTTY, 0) < 0 || dup2(console, STDIN_FILENO) < 0 ||
	    dup2(console, STDOUT_FILENO) < 0 || dup2(console, STDERR_FILENO) < 0)
		return error_errno(e, errno, "open the terminal %s", place->console);
	return 0;
}

int container_fork(unsigned long flags, int (*child)(const struct container_place *, struct error *),
		   const struct container_place *place, struct container *ret, struct error *e)
{
	int sync[2];

	/* The pipe closes on a good exec, or brings back the error of a bad one. */
	if (pipe2(sync, O_CLOEXEC) < 0)
		return error_errno(e, errno, "start the container");
	_cleanup_(fd) int sync_read = sync[0];
	_cleanup_(fd) int sync_write = sync[1];
	pid_t pid = (pid_t)syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, NULL);

	if (pid < 0)
		return error_errno(e, errno, "start the container");
	if (pid == 0) {
		struct error failed = { 0 };

		(void)child(place, &failed);
		(void)write_all(sync_write, &failed, sizeof(failed)); /* the parent sees its end at worst */
		_exit(127);
	}
	(void)close(TAKE_FD(sync_write)); /* nothing was written to it */
	struct error failed;
	ssize_t n = read_full(sync_read, &failed, sizeof(failed));

	if (n != 0) {
		(void)waitpid(pid, NULL, 0); /* it is on its way out; its reason is in hand */
		if (n != (ssize_t)sizeof(failed))
			return error_text(e, EIO, "start the container: it ended");
		*e = failed;
		return error_negative(failed.code);
	}
	int pid_fd = pidfd_open(pid, 0);

	if (pid_fd < 0)
		return error_errno(e, errno, "watch the container");
	*ret = (struct container) { pid, pid_fd };
	return 0;
}
