#include "guest/session.h"

#include "guest/mconsole.h"

#include <errno.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static const unsigned until_seconds = 300; /* for `until`, when the request names none */
static const unsigned end_seconds = 10; /* to power off by itself once it is asked to */

static int hold_signals(struct session *s, struct error *e)
{
	static const int held[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	sigset_t set;

	(void)sigemptyset(&set);
	for (size_t i = 0; i < sizeof(held) / sizeof(held[0]); i++)
		(void)sigaddset(&set, held[i]); /* valid numbers cannot fail */
	if (sigprocmask(SIG_BLOCK, &set, &s->old_mask) < 0)
		return error_errno(e, errno, "hold signals back");
	s->masked = true;
	s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
	return s->signal_fd < 0 ? error_errno(e, errno, "hold signals back") : 0;
}

int session_begin(struct session *ret, struct error *e)
{
	_cleanup_(session) struct session s = SESSION_NONE;
	int r = hold_signals(&s, e);

	if (r == 0)
		r = tempdir_make(&s.temp, e);
	if (r == 0)
		r = keeper_start(s.temp.path, &s.keeper, e);
	if (r < 0)
		return r;
	*ret = s;
	s = (struct session)SESSION_NONE;
	return 0;
}

int session_start(struct session *s, const char *const argv[], const char *const env[],
		  const struct guest_request *request, struct error *e)
{
	_cleanup_(fd) int guest_fd = -1;
	int r = console_open(request->log, &s->console, &guest_fd, e);

	if (r < 0)
		return r;
	struct proc_options o = { .stdin_fd = guest_fd, .stdout_fd = guest_fd, .env = env };

	r = proc_spawn(argv, &o, &s->proc, e);
	if (r < 0)
		return r;
	r = keeper_watch(&s->keeper, s->proc.pid, e);
	if (r < 0)
		return r;
	/* The whole command would fill the one line that an error is. */
	free(s->proc.command);
	s->proc.command = xstrdup(argv[0]);
	s->pid_fd = (int)syscall(SYS_pidfd_open, s->proc.pid, 0);
	if (s->pid_fd < 0)
		return error_errno(e, errno, "watch %s", argv[0]);
	s->console.ended_fd = s->pid_fd;
	s->console.signal_fd = s->signal_fd;
	s->console.show_fd = request->show_fd > 0 ? request->show_fd : -1;
	s->console.alarms = request->alarms;
	return 0;
}

static int control(void *user, const char *command, unsigned seconds, char **ret_answer, struct error *e)
{
	struct session *s = user;

	return mconsole_send(s->temp.fd, "guest", command, &s->console, seconds, ret_answer, e);
}

/* Its file systems are written and made read-only: what is killed then is whole. */
static int settle(struct session *s, struct error *e)
{
	/* The first lets the kernel say what it says, also when it was told to be quiet. */
	static const char *const commands[] = { "sysrq 8", "sysrq s", "sysrq u" };
	static const char *const done[] = { "", "Emergency Sync complete", "Emergency Remount complete" };
	struct console *c = &s->console;

	c->alarms = NULL;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		const char *const texts[] = { done[i], NULL };
		_cleanup_(free) char *answer = NULL;
		int r = control(s, commands[i], end_seconds, &answer, e);

		if (r == 0 && !strstr(answer, done[i]))
			r = console_wait(c, texts, end_seconds, NULL, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int power_off(struct session *s, struct error *e)
{
	if (!s->orderly) {
		proc_kill(&s->proc);
		return 0;
	}
	(void)kill(s->proc.pid, SIGTERM); /* our child, not reaped: the number is its own */
	pid_t group = s->proc.pid;
	int r = proc_wait_within(&s->proc, end_seconds, e);

	(void)kill(-group, SIGKILL); /* helpers that it left; mostly there are none */
	return r;
}

/* The guest closed its console: how did its process end? */
static int reap(struct session *s, struct error *e)
{
	pid_t group = s->proc.pid;
	int r = proc_wait_within(&s->proc, end_seconds, e);

	(void)kill(-group, SIGKILL); /* as above */
	return r;
}

static int follow_until(struct session *s, const struct guest_request *request, struct error *e)
{
	const char *texts[] = { request->until, NULL };
	struct error why;
	int r = console_wait(&s->console, texts, request->timeout ? request->timeout : until_seconds, NULL,
			     e);

	if (r == 0)
		return power_off(s, e);
	/* A guest that could not even start says why by its exit status. */
	if (r == -EPIPE && reap(s, &why) < 0)
		*e = why;
	return r;
}

static int follow_to_end(struct session *s, const struct guest_request *request, struct error *e)
{
	static const char *const texts[] = { "Kernel panic - not syncing", NULL };
	int r = console_wait(&s->console, texts, request->timeout, NULL, e);

	if (r == 0) {
		_cleanup_(free) char *why = NULL;

		r = console_line(&s->console, 5, &why, e);
		if (r < 0)
			return r;
		return error_text(e, EIO, "the guest's kernel panicked%s", why);
	}
	if (r == -ETIMEDOUT)
		return error_text(e, ETIMEDOUT, "the guest has not powered off within %u seconds",
				  request->timeout);
	return r == -EPIPE ? reap(s, e) : r;
}

static int follow_at_terminal(struct session *s, const struct guest_request *request, struct report *report,
			      struct error *e)
{
	report_info(report, "this terminal is the guest's console; Ctrl-] x leaves and ends it");
	int r = console_interact(&s->console, STDIN_FILENO, STDOUT_FILENO, e);

	if (r < 0)
		return r;
	if (r > 0 && s->managed && request->settle)
		r = settle(s, e);
	return r < 0 ? r : s->console.fd >= 0 ? power_off(s, e) : reap(s, e);
}

static int follow_script(struct session *s, const struct guest_request *request, struct error *e)
{
	const struct script_guest guest = { .console = &s->console,
					    .control = s->managed ? control : NULL,
					    .user = s,
					    .limit = request->step_limit };
	bool ended = false;
	struct error why;
	int r = script_run(request->script, &guest, &ended, e);

	if (r == 0 && ended)
		return reap(s, e);
	if (r == 0 && s->console.fd >= 0 && s->managed && request->settle)
		r = settle(s, e);
	if (r == 0)
		return power_off(s, e);
	/* An alarm is about the guest's system, not about its kernel: it can still write. Where it cannot, it panicked. */
	if (r == -ECANCELED && s->console.fd >= 0 && s->managed && request->settle)
		(void)settle(s, &why);
	/* A guest that could not even start says why by its exit status. */
	if (r == -EPIPE && reap(s, &why) < 0)
		error_prefix(e, "%s", why.text);
	return r;
}

static int follow_driven(struct session *s, const struct guest_request *request, struct error *e)
{
	const struct guest_live live = { .console = &s->console, .monitor = s->monitor };
	struct error why;
	int r = request->drive(request->user, &live, e);

	/* A guest that could not even start says why by its exit status. */
	if (r == -EPIPE && reap(s, &why) < 0) {
		*e = why;
		return why.code < 0 ? why.code : -why.code;
	}
	return r < 0 ? r : s->console.fd >= 0 ? power_off(s, e) : reap(s, e);
}

int session_follow(struct session *s, const struct guest_request *request, struct report *report,
		   struct error *e)
{
	if (request->drive)
		return follow_driven(s, request, e);
	if (request->script)
		return follow_script(s, request, e);
	if (request->interactive)
		return follow_at_terminal(s, request, report, e);
	return request->until ? follow_until(s, request, e) : follow_to_end(s, request, e);
}

void session_end(struct session *s)
{
	proc_kill(&s->proc);
	console_close(&s->console);
	tempdir_remove(&s->temp);
	keeper_dismiss(&s->keeper);
	free(s->monitor);
	if (s->pid_fd >= 0)
		(void)close(s->pid_fd); /* read side */
	if (s->signal_fd >= 0)
		(void)close(s->signal_fd); /* read side */
	if (s->masked)
		(void)sigprocmask(SIG_SETMASK, &s->old_mask, NULL); /* a mask from the kernel is valid */
	*s = (struct session)SESSION_NONE;
}

static uint64_t size_of(const char *path)
{
	struct stat st;

	/* What cannot be looked at gets its message when it is opened. */
	return path && stat(path, &st) == 0 && S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
}

unsigned guest_memory_mib(const struct guest_request *request)
{
	if (request->memory_mib)
		return request->memory_mib;
	/* The initrd lies in memory packed and, for a moment twice, unpacked. */
	uint64_t boots = size_of(request->kernel) + size_of(request->initrd) + size_of(request->medium);
	uint64_t mib = 512 + 6 * (boots >> 20);

	return mib < 1024 ? 1024 : mib > 4096 ? 4096 : (unsigned)mib;
}
