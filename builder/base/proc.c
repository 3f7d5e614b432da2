#include "base/proc.h"

#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

char *proc_find_program(const char *name)
{
	if (strchr(name, '/'))
		return access(name, X_OK) == 0 ? xstrdup(name) : NULL;
	const char *path = getenv("PATH");
	/* An ordinary user's PATH lacks the sbin folders, where most of our tools live. */
	_cleanup_(free) char *all =
		xasprintf("%s:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin", path ? path : "");

	for (char *rest = all, *dir; (dir = strsep(&rest, ":"));) {
		if (!*dir)
			continue;
		_cleanup_(free) char *full = xasprintf("%s/%s", dir, name);

		if (access(full, X_OK) == 0)
			return TAKE_PTR(full);
	}
	return NULL;
}

/* In the child: `fd` (or /dev/null, or `instead`) becomes descriptor `to`. */
static int place(int fd, int to, int instead)
{
	if (fd == 0 && instead >= 0)
		fd = instead;
	if (fd == 0) {
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
		if (fd < 0)
			return negative_errno();
	}
	return dup2(fd, to) < 0 ? negative_errno() : 0;
}

static int child_setup(const struct proc_options *o, int said_fd, pid_t parent)
{
	sigset_t none;

	if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0)
		return negative_errno();
	if (getppid() != parent)
		return -ECHILD; /* the parent died before the line above */
	(void)sigemptyset(&none);
	if (sigprocmask(SIG_SETMASK, &none, NULL) < 0)
		return negative_errno();
	(void)signal(SIGPIPE, SIG_DFL); /* a valid number cannot fail */
	(void)signal(SIGXFSZ, SIG_DFL);
	if (!o->interactive) {
		/* dump(8) and its like open /dev/tty to ask; without a terminal they fail instead */
		if (setsid() < 0)
			return -errno;
		int r = place(o->stdin_fd, STDIN_FILENO, -1);

		if (r == 0)
			r = place(o->stdout_fd, STDOUT_FILENO, said_fd);
		if (r == 0)
			r = place(o->stderr_fd, STDERR_FILENO, said_fd);
		if (r < 0)
			return r;
	}
	if (o->chroot) {
		(void)umask(022); /* what it writes is that system's, not ours; it cannot fail */
		if (chroot(o->chroot) < 0 || chdir("/") < 0)
			return negative_errno();
	}
	if (o->cwd && chdir(o->cwd) < 0)
		return negative_errno();
	for (const char *const *v = o->env; v && *v; v++)
		if (putenv((char *)*v) != 0)
			return negative_errno();
	return 0;
}

int proc_spawn(const char *const argv[], const struct proc_options *options, struct proc *ret,
	       struct error *e)
{
	static const struct proc_options defaults;
	const struct proc_options *o = options ? options : &defaults;
	_cleanup_(strbuf) struct strbuf command = { 0 };
	_cleanup_(free) char *program = o->chroot ? xstrdup(argv[0]) : proc_find_program(argv[0]);
	_cleanup_(fd) int said = -1;
	int sync[2];

	for (size_t i = 0; argv[i]; i++)
		strbuf_printf(&command, "%s%s", i ? " " : "", argv[i]);
	if (!program)
		return error_text(e, ENOENT, "run %s: program not found", argv[0]);
	if (!o->interactive) {
		said = memfd_create("stderr", MFD_CLOEXEC);
		if (said < 0)
			return error_errno(e, errno, "run %s", argv[0]);
	}
	/* The pipe closes on a good exec, or brings back the errno of a bad one. */
	if (pipe2(sync, O_CLOEXEC) < 0)
		return error_errno(e, errno, "run %s", argv[0]);
	_cleanup_(fd) int sync_read = sync[0];
	_cleanup_(fd) int sync_write = sync[1];
	pid_t parent = getpid();
	pid_t pid = fork();

	if (pid < 0)
		return error_errno(e, errno, "run %s", argv[0]);
	if (pid == 0) {
		int r = child_setup(o, said, parent);

		if (r == 0) {
			if (o->chroot)
				(void)execvp(program, (char *const *)argv);
			else
				(void)execv(program, (char *const *)argv);
			r = -errno;
		}
		(void)write_all(sync_write, &r, sizeof(r)); /* the parent sees EOF at worst */
		_exit(127);
	}
	(void)close(TAKE_FD(sync_write)); /* nothing was written to it */
	int child_errno = 0;
	ssize_t n = read_full(sync_read, &child_errno, sizeof(child_errno));

	if (n != 0) {
		(void)waitpid(pid, NULL, 0); /* it is on its way out; its reason is in hand */
		return error_errno(e, n > 0 ? -child_errno : (int)-n, "run %s", argv[0]);
	}
	*ret = (struct proc) { .pid = pid,
			       .command = TAKE_PTR(command.data),
			       .leader = !o->interactive,
			       .said_fd = TAKE_FD(said),
			       .accept = o->accept | 1 };
	return 0;
}

/* Some programs say what is wrong, and then how they are used. */
static void cut_usage(char *text)
{
	char *usage = strcasestr(text, "\nusage:");

	if (usage)
		*usage = '\0';
}

/* The last non-empty line of what the child said, or NULL. The caller frees. */
static char *last_line(int fd)
{
	char buf[4096];
	off_t size = lseek(fd, 0, SEEK_END);

	if (size <= 0)
		return NULL;
	off_t from = size > (off_t)sizeof(buf) - 1 ? size - (off_t)sizeof(buf) + 1 : 0;
	ssize_t n = pread_full(fd, buf, sizeof(buf) - 1, from);

	if (n <= 0)
		return NULL;
	buf[n] = '\0';
	char *text = str_strip(buf);
	char *newline;

	cut_usage(text);
	/* an indented line goes on with the one before it, as mke2fs folds what it has to say */
	while ((newline = strrchr(text, '\n')) && (newline[1] == ' ' || newline[1] == '\t'))
		*newline = ' ';
	char *line = str_strip(newline ? newline + 1 : text);

	for (char *p = line; *p; p++)
		if ((unsigned char)*p < ' ')
			*p = ' ';
	return *line ? xstrdup(line) : NULL;
}

static void forget(struct proc *p)
{
	if (p->said_fd >= 0)
		(void)close(p->said_fd); /* memory only */
	free(p->command);
	*p = (struct proc)PROC_NONE;
}

/* True when the process behind `pidfd` has ended within `milliseconds`. */
static bool wait_for_end(int pidfd, unsigned milliseconds)
{
	struct pollfd watch = { .fd = pidfd, .events = POLLIN };
	struct timespec now, end;
	int left = (int)milliseconds;

	(void)clock_gettime(CLOCK_MONOTONIC, &end); /* cannot fail with a valid clock */
	end.tv_sec += milliseconds / 1000;
	while (left > 0) {
		int n = poll(&watch, 1, left);

		if (n > 0)
			return true;
		if (n < 0 && errno != EINTR)
			return false;
		(void)clock_gettime(CLOCK_MONOTONIC, &now);
		left = (int)((end.tv_sec - now.tv_sec) * 1000 + (end.tv_nsec - now.tv_nsec) / 1000000);
	}
	return false;
}

int proc_wait(struct proc *p, int *ret_status, struct error *e)
{
	int status, r = 0;

	while (waitpid(p->pid, &status, 0) < 0)
		if (errno != EINTR) {
			r = error_errno(e, errno, "wait for %s", p->command);
			forget(p);
			return r;
		}
	_cleanup_(free) char *said = p->said_fd >= 0 ? last_line(p->said_fd) : NULL;
	const char *colon = said ? ": " : "", *text = said ? said : "";

	if (WIFSIGNALED(status))
		r = error_text(e, EIO, "%s: killed by signal %d (%s)%s%s", p->command, WTERMSIG(status),
			       strsignal(WTERMSIG(status)), colon, text);
	else if (WEXITSTATUS(status) >= 32 || !(p->accept >> WEXITSTATUS(status) & 1))
		r = error_text(e, EIO, "%s: exit status %d%s%s", p->command, WEXITSTATUS(status), colon,
			       text);
	if (ret_status)
		*ret_status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	forget(p);
	return r;
}

/* It is our child and not reaped: the number is its own. Gone already is as good. */
static void send_kill(const struct proc *p)
{
	(void)kill(p->leader ? -p->pid : p->pid, SIGKILL);
}

int proc_wait_within(struct proc *p, unsigned seconds, struct error *e)
{
	/* A process in an uninterruptible mount(2) may need a moment to notice that it was killed. */
	enum { grace_ms = 5000 };
	_cleanup_(fd) int pidfd = pidfd_open(p->pid, 0);

	if (pidfd < 0)
		return error_errno(e, errno, "watch %s", p->command);
	if (wait_for_end(pidfd, seconds * 1000))
		return proc_wait(p, NULL, e);
	send_kill(p);
	int r = error_text(e, ETIMEDOUT, "%s: no answer within %u seconds", p->command, seconds);

	if (!wait_for_end(pidfd, grace_ms)) { /* stuck in the kernel: left to init */
		forget(p);
		return r;
	}
	proc_kill(p);
	return r;
}

void proc_kill(struct proc *p)
{
	if (p->pid > 0) {
		send_kill(p);
		while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	forget(p);
}

int proc_run(const char *const argv[], const struct proc_options *options, struct error *e)
{
	_cleanup_(proc) struct proc p = PROC_NONE;
	int r = proc_spawn(argv, options, &p, e);

	return r < 0 ? r : proc_wait(&p, NULL, e);
}

int proc_capture(const char *const argv[], const struct proc_options *options, char **ret_out,
		 struct error *e)
{
	struct proc_options o = options ? *options : (struct proc_options) { 0 };
	_cleanup_(proc) struct proc p = PROC_NONE;
	_cleanup_(fd) int out = memfd_create("stdout", MFD_CLOEXEC);

	if (out < 0)
		return error_errno(e, errno, "run %s", argv[0]);
	o.stdout_fd = out;
	int r = proc_spawn(argv, &o, &p, e);

	if (r < 0)
		return r;
	r = proc_wait(&p, NULL, e);
	if (r < 0)
		return r;
	off_t size = lseek(out, 0, SEEK_END);

	if (size < 0 || size > (off_t)64 << 20)
		return error_text(e, EFBIG, "%s: printed more than 64 MiB", argv[0]);
	_cleanup_(free) char *text = xmalloc((size_t)size + 1);
	ssize_t n = pread_full(out, text, (size_t)size, 0);

	if (n != size)
		return error_errno(e, n < 0 ? (int)-n : EIO, "read the output of %s", argv[0]);
	text[size] = '\0';
	*ret_out = TAKE_PTR(text);
	return 0;
}
