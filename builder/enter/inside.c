/* Source: setns(2). */
#include "enter/inside.h"

#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

static int mount_inside(struct recovered *root, const char *source, const char *folder, const char *type,
			unsigned long flags, struct error *e)
{
	_cleanup_(free) char *path = NULL;
	int r = recovered_inside(root, folder, &path, e);

	if (r == 0 && mount(source, path, type, flags, NULL) < 0)
		r = error_errno(e, errno, "mount %s at %s", source, path);
	if (r == 0)
		recovered_add(root, TAKE_PTR(path), "");
	return r;
}

int inside_bind(struct recovered *root, struct error *e)
{
	static const char *const folders[] = { "/dev",  "/dev/pts", "/dev/shm",
					       "/proc", "/sys",     "/sys/firmware/efi/efivars" };
	int r = recovered_make_folders(root, e);

	for (size_t i = 0; r == 0 && i < sizeof(folders) / sizeof(*folders); i++)
		if (access(folders[i], F_OK) == 0)
			r = mount_inside(root, folders[i], folders[i], NULL, MS_BIND, e);
	return r < 0 ? r : mount_inside(root, "tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, e);
}

/* ---- the child ---- */

static int enter_namespaces(pid_t init)
{
	static const struct {
		const char *name;
		int kind;
	} all[] = { { "cgroup", CLONE_NEWCGROUP },
		    { "ipc", CLONE_NEWIPC },
		    { "uts", CLONE_NEWUTS },
		    { "pid", CLONE_NEWPID },
		    { "mnt", CLONE_NEWNS } }; /* last: its /proc is another one */

	_cleanup_(free) char *root_path = xasprintf("/proc/%d/root", (int)init);
	_cleanup_(fd) int root = open(root_path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (root < 0)
		return negative_errno();
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		_cleanup_(free) char *path = xasprintf("/proc/%d/ns/%s", (int)init, all[i].name);
		_cleanup_(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);

		if (fd < 0 || setns(fd, all[i].kind) < 0)
			return negative_errno();
	}
	return fchdir(root) < 0 || chroot(".") < 0 ? negative_errno() : 0;
}

static int set_environment(void)
{
	_cleanup_(free) char *term = xstrdup(getenv("TERM") ? getenv("TERM") : "vt220");

	if (clearenv() != 0 || setenv("TERM", term, 1) < 0 || setenv("HOME", "/root", 1) < 0 ||
	    setenv("USER", "root", 1) < 0 || setenv("LOGNAME", "root", 1) < 0 ||
	    setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1) < 0)
		return negative_errno();
	return 0;
}

static int execute(const struct inside *i)
{
	const char *shell = access("/bin/bash", X_OK) == 0 ? "/bin/bash" : "/bin/sh";
	const char *const login[] = { shell, "-l", NULL };
	const char *const command[] = { "/bin/sh", "-c", i->command, NULL };
	const char *const *argv = i->command ? command : login;

	(void)execv(argv[0], (char *const *)argv);
	return negative_errno();
}

/* A PID namespace takes only children: whoever entered it waits for one, and ends as it did. */
static int execute_below(const struct inside *i, int sync_fd)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return negative_errno();
	if (pid == 0)
		return execute(i);
	(void)close(sync_fd); /* only whoever executes tells how that went */
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return negative_errno();
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

/* Returns only on failure, for which `sync_fd` is. */
static int child(const struct inside *i, int sync_fd)
{
	sigset_t none;
	int r = set_environment();

	(void)sigemptyset(&none);
	if (r == 0 && sigprocmask(SIG_SETMASK, &none, NULL) < 0)
		r = negative_errno();
	if (r == 0 && i->init)
		r = enter_namespaces(i->init);
	else if (r == 0 && chroot(i->root) < 0)
		r = negative_errno();
	if (r == 0 && chdir("/root") < 0 && chdir("/") < 0)
		r = negative_errno();
	if (r < 0)
		return r;
	return i->init ? execute_below(i, sync_fd) : execute(i);
}

/* ---- its parent ---- */

/* True: this is the end. Ctrl-C at the terminal is for the shell or the command, which got it as well. */
static bool ends(const struct inside *i, struct error *e)
{
	struct signalfd_siginfo info;

	if (read_full(i->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return false;
	if (info.ssi_signo == SIGWINCH ||
	    ((info.ssi_signo == SIGINT || info.ssi_signo == SIGQUIT) && !i->command))
		return false;
	(void)error_text(e, EINTR, "ended by signal %u (%s)", info.ssi_signo, strsignal((int)info.ssi_signo));
	return true;
}

static int wait_for(const struct inside *i, pid_t pid, int pid_fd, int *ret_status, struct error *e)
{
	int status;

	for (;;) {
		struct pollfd p[] = { { .fd = pid_fd, .events = POLLIN },
				      { .fd = i->signal_fd, .events = POLLIN } };

		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return error_errno(e, errno, "wait for the shell");
		if (p[0].revents)
			break;
		if (p[1].revents && ends(i, e))
			return -EINTR; /* whoever called kills all that is left */
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return error_errno(e, errno, "wait for the shell");
	*ret_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	return 0;
}

int inside_run(const struct inside *i, int *ret_status, struct error *e)
{
	int sync[2];

	if (pipe2(sync, O_CLOEXEC) < 0)
		return error_errno(e, errno, "start a shell");
	_cleanup_(fd) int sync_read = sync[0];
	_cleanup_(fd) int sync_write = sync[1];
	pid_t pid = fork();

	if (pid < 0)
		return error_errno(e, errno, "start a shell");
	if (pid == 0) {
		int r = child(i, sync_write);

		(void)write_all(sync_write, &r, sizeof(r)); /* the parent sees its end at worst */
		_exit(127);
	}
	(void)close(TAKE_FD(sync_write)); /* nothing was written to it */
	_cleanup_(fd) int pid_fd = pidfd_open(pid, 0);
	int failed = 0;
	ssize_t n = read_full(sync_read, &failed, sizeof(failed));

	if (n != 0 || pid_fd < 0) {
		(void)kill(pid, SIGKILL); /* on its way out, or ours to end */
		(void)waitpid(pid, NULL, 0);
		return error_errno(e, n > 0 ? -failed : EIO, "start %s inside",
				   i->command ? "/bin/sh" : "a shell");
	}
	return wait_for(i, pid, pid_fd, ret_status, e);
}
