#include "enter/enter.h"

#include "base/fs.h"
#include "base/in_root.h"
#include "enter/container.h"
#include "enter/inside.h"
#include "enter/interrupt.h"
#include "enter/links.h"
#include "enter/relay.h"
#include "enter/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>

#define FOLDER "/run/lifeboat/enter"
static const char root_folder[] = FOLDER "/root", look_folder[] = FOLDER "/look";

enum { poweroff_seconds = 15 };

int enter_prepare(const char **ret_folder, struct error *e)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) < 0)
		return error_errno(e, errno, "make a mount namespace");
	int r = mkdir_parents_at(AT_FDCWD, FOLDER, 0755, e);

	if (r < 0)
		return r;
	if (mount("tmpfs", FOLDER, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755") < 0)
		return error_errno(e, errno, "mount tmpfs at %s", FOLDER);
	if (mkdir(root_folder, 0755) < 0 || mkdir(look_folder, 0755) < 0)
		return error_errno(e, errno, "make a folder in %s", FOLDER);
	*ret_folder = look_folder;
	return 0;
}

/* PID 1 of our namespace, whose death ends all that is inside. */
struct warden {
	const struct installed *system;
	const struct enter_options *options;
	struct report *report;
	int signal_fd;
	struct recovered root;
	struct container_place place;
	struct relay relay;
	struct container container;
	const struct container_kind *kind;
};

/* ---- the container ---- */

static void kill_all(void)
{
	(void)kill(-1, SIGKILL); /* all but PID 1, which we are; none is as good */
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
}

/* Who would be started: "" when it is no systemd. The caller frees. */
static char *init_of(const char *root)
{
	_cleanup_(fd) int root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(fd) int fd = root_fd < 0 ? -1 : open_in_root(root_fd, "sbin/init", O_PATH);
	_cleanup_(free) char *link = xasprintf("/proc/self/fd/%d", fd);
	char path[4096];
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || !(st.st_mode & 0111))
		return NULL;
	ssize_t n = readlink(link, path, sizeof(path) - 1);

	return n < 0 ? NULL : xstrndup(path, (size_t)n);
}

/* NULL: nothing speaks against it. */
static const char *why_not_start(const struct warden *w)
{
	_cleanup_(free) char *init = init_of(w->root.path);

	if (!init)
		return "its /sbin/init is missing or cannot be executed";
	return str_ends(init, "/systemd") ? NULL : "its init is not systemd";
}

/* 0: it has come to its prompt; -ECHILD: it cannot, and why is in `e`; anything else ends all. */
static int start(struct warden *w, struct error *e)
{
	bool terminal = !w->options->command;
	enum relay_end end;

	relay_close(&w->relay);
	int r = relay_open(&w->relay, terminal ? STDIN_FILENO : -1,
			   terminal                                    ? STDOUT_FILENO
			   : w->report->verbosity == VERBOSITY_VERBOSE ? STDERR_FILENO
								       : -1,
			   w->signal_fd, e);

	if (r < 0)
		return r;
	w->place.console = w->relay.slave;
	r = w->kind->start(&w->place, &w->container, e);
	if (r < 0)
		return -ECHILD;
	r = relay_run(&w->relay, w->container.pid_fd, container_says, w->options->within, &end, e);
	if (r < 0)
		return r;
	_cleanup_(free) char *last = relay_last_line(&w->relay);

	switch (end) {
	case RELAY_SEEN:
		return 0;
	case RELAY_SIGNAL:
		return error_text(e, EINTR, "ended by a signal");
	case RELAY_ENDED:
		(void)error_text(e, ECHILD, "its init ended%s%s", *last ? "; its last line: " : "", last);
		return -ECHILD;
	case RELAY_LEFT:
		(void)error_text(e, ECHILD, "Ctrl-] stopped the waiting");
		return -ECHILD;
	default:
		(void)error_text(e, ECHILD, "no prompt within %u seconds%s%s", w->options->within,
				 *last ? "; its last line: " : "", last);
		return -ECHILD;
	}
}

/* As systemd wants to be told (systemd(1), SIGRTMIN+4), so that journals and databases are closed. */
static void stop(struct warden *w)
{
	pid_t init = w->kind->init(&w->container);
	struct pollfd p = { .fd = w->container.pid_fd, .events = POLLIN };
	struct error ignored;
	enum relay_end end;

	if (init > 0 && kill(init, SIGRTMIN + 4) == 0 && poll(&p, 1, 0) == 0)
		(void)relay_run(&w->relay, w->container.pid_fd, NULL, poweroff_seconds, &end,
				&ignored); /* what is left is killed */
}

static int use(struct warden *w, int *ret_status, struct error *e)
{
	enum relay_end end;
	int r = 0;

	report_debug(w->report, "inside %s, at rescue.target", w->kind->name);
	if (w->options->command) {
		const struct inside inside = { .init = w->kind->init(&w->container),
					       .command = w->options->command,
					       .signal_fd = w->signal_fd };

		r = inside.init > 0 ? inside_run(&inside, ret_status, e)
				    : error_text(e, ESRCH, "find PID 1 of the container");
	} else {
		*ret_status = 0;
		r = relay_run(&w->relay, w->container.pid_fd, NULL, 0, &end, e);
		if (r == 0 && end == RELAY_SIGNAL)
			r = error_text(e, EINTR, "ended by a signal");
	}
	stop(w);
	return r;
}

/* -ECHILD: no kind came to a prompt; told why. */
static int use_container(struct warden *w, int *ret_status, struct error *e)
{
	static const struct container_kind *const kinds[] = { &container_nspawn, &container_own };
	int r = container_make_cgroup(&w->place, e);

	if (r < 0) {
		report_warn(w->report, "no container: %s", e->text);
		return -ECHILD;
	}
	r = -ECHILD;
	for (size_t i = 0; r == -ECHILD && i < sizeof(kinds) / sizeof(*kinds); i++) {
		if (!kinds[i]->available())
			continue;
		w->kind = kinds[i];
		report_info(w->report, "starting %s on %s in %s%s", w->system->name, w->system->node,
			    w->kind->name,
			    w->options->command ? "" : "; Ctrl-] three times stops waiting for it");
		r = start(w, e);
		if (r == 0) {
			r = use(w, ret_status, e);
			kill_all();
			return r;
		}
		kill_all();
		relay_close(&w->relay);
		container_free(&w->container);
		if (r == -ECHILD)
			report_warn(w->report, "not started in %s: %s", w->kind->name, e->text);
	}
	return r;
}

/* ---- without ---- */

static int use_chroot(struct warden *w, int *ret_status, struct error *e)
{
	const struct inside inside = { .root = w->root.path,
				       .command = w->options->command,
				       .signal_fd = w->signal_fd };
	int r = inside_bind(&w->root, e);

	if (r < 0)
		return r;
	if (!inside.command)
		report_info(w->report, "a shell in %s on %s by chroot; exit leaves it", w->system->name,
			    w->system->node);
	r = inside_run(&inside, ret_status, e);
	kill_all();
	return r;
}

static int use_any(struct warden *w, int *ret_status, struct error *e)
{
	const char *why = w->options->plain ? NULL : why_not_start(w);
	int r = -ECHILD;

	if (why)
		report_warn(w->report, "not started in a container: %s", why);
	else if (!w->options->plain)
		r = use_container(w, ret_status, e);
	return r == -ECHILD ? use_chroot(w, ret_status, e) : r;
}

/* ---- the warden ---- */

/* Where udev runs they are its own. */
static void make_links(const struct warden *w)
{
	_cleanup_(blocks) struct blocks all = { 0 };
	struct error e;

	if (access("/run/udev/control", F_OK) == 0)
		return;
	if (blocks_find(NULL, &all, &e) < 0 || links_make("/dev", &all, &e) < 0)
		report_warn(w->report, "boot loaders may be given names of disks that do not last: %s",
			    e.text);
}

static int warden_run(struct warden *w, int *ret_status, struct error *e)
{
	struct error late;

	if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return error_errno(e, errno, "mount proc at /proc");
	make_links(w);
	int r = rootfs_mount(&w->root, w->system, w->options->check, w->options->answers, w->report, e);

	if (r == 0)
		r = use_any(w, ret_status, e);
	kill_all();
	relay_close(&w->relay);
	container_free(&w->container);
	container_remove_cgroup(&w->place);
	int unmounted = recovered_unmount(&w->root, &late);

	if (r == 0 && unmounted < 0)
		*e = late;
	return r < 0 ? r : unmounted;
}

/* What the parent learns of it. */
struct outcome {
	int result, status;
	struct error error;
};

static void warden(struct warden *w, struct outcome *o, pid_t parent_gone)
{
	o->result = -EIO;
	(void)error_text(&o->error, EIO, "enter %s: it was killed", w->system->node);
	/* when the parent is killed, this is, and with it everything inside */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent_gone)
		_exit(1);
	o->result = warden_run(w, &o->status, &o->error);
	_exit(0);
}

/* Waits for it, and hands on what would otherwise end only this process. */
static int wait_for(pid_t pid, int pid_fd, int signal_fd, struct error *e)
{
	for (;;) {
		struct pollfd p[] = { { .fd = pid_fd, .events = POLLIN },
				      { .fd = signal_fd, .events = POLLIN } };
		struct signalfd_siginfo info;

		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return error_errno(e, errno, "wait for what is inside");
		if (p[0].revents)
			break;
		/* from the terminal both got it */
		if (p[1].revents && read_full(signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info) &&
		    info.ssi_code != SI_KERNEL)
			(void)kill(pid, (int)info.ssi_signo); /* it may just have ended */
	}
	while (waitpid(pid, NULL, 0) < 0)
		if (errno != EINTR)
			return error_errno(e, errno, "wait for what is inside");
	return 0;
}

static int run_warden(struct warden *w, struct outcome *o, struct error *e)
{
	(void)fflush(NULL); /* what is buffered is printed once */
	pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWPID | CLONE_NEWNS | SIGCHLD, NULL, NULL, NULL, NULL);

	if (pid < 0)
		return error_errno(e, errno, "make a PID namespace");
	if (pid == 0)
		warden(w, o, 0); /* the parent lies outside of its namespace: 0, as long as it lives */
	_cleanup_(fd) int pid_fd = pidfd_open(pid, 0);

	if (pid_fd < 0) {
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
		return error_errno(e, errno, "watch what is inside");
	}
	return wait_for(pid, pid_fd, w->signal_fd, e);
}

int enter_system(const struct installed *system, const struct enter_options *options, struct report *report,
		 int *ret_status, struct error *e)
{
	struct warden w = { .system = system,
			    .options = options,
			    .report = report,
			    .root = { .path = root_folder },
			    .relay = RELAY_NONE,
			    .container = CONTAINER_NONE };
	struct termios mode;
	/* a command in the background must not touch the terminal: it would be stopped */
	bool terminal = !options->command && tcgetattr(STDIN_FILENO, &mode) == 0;
	pid_t front = tcgetpgrp(STDIN_FILENO);
	sigset_t mask, old;

	w.place = (struct container_place) { .root = &w.root, .folder = FOLDER };
	(void)sigemptyset(&mask);
	for (const int *s = (const int[]) { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGTTOU, 0 }; *s; s++)
		(void)sigaddset(&mask, *s);
	if (sigprocmask(SIG_BLOCK, &mask, &old) < 0)
		return error_errno(e, errno, "block signals");
	_cleanup_(fd) int signal_fd = signalfd(-1, &mask, SFD_CLOEXEC);
	struct outcome *o = mmap(NULL, sizeof(*o), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (signal_fd < 0 || o == MAP_FAILED)
		return error_errno(e, errno, "enter %s", system->node);
	w.signal_fd = signal_fd;
	int r = interrupt_check(e); /* one that came before they were blocked */

	if (r == 0)
		r = run_warden(&w, o, e);
	if (r == 0 && o->result < 0)
		*e = o->error;
	r = r < 0 ? r : o->result;
	*ret_status = o->status;
	(void)munmap(o, sizeof(*o)); /* it is ours */
	/* a shell with job control took the terminal, and could not see from its namespace whose it was */
	if (terminal && front > 0)
		(void)tcsetpgrp(STDIN_FILENO, front); /* SIGTTOU is blocked; the terminal may be gone */
	if (terminal)
		(void)tcsetattr(STDIN_FILENO, TCSADRAIN,
				&mode); /* should it have been killed; the terminal may be gone */
	(void)sigprocmask(SIG_SETMASK, &old, NULL); /* a valid mask cannot fail */
	return r;
}
