#include "guest/keeper.h"

#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

/* Sent instead of a process group: the parent needs no keeper any more. */
static const pid_t dismissed = -1;

/* The group's number is its own as long as one of it is there: the first thing that a dying parent
 * causes is the end of this pipe, so nobody else has it by now. */
static void end_group(pid_t group)
{
	const struct timespec pause = { .tv_nsec = 20 * 1000 * 1000 };

	for (int i = 0; i < 250 && kill(-group, SIGKILL) == 0; i++)
		(void)nanosleep(&pause, NULL); /* cut short, it only asks again sooner */
}

_Noreturn static void keep(int fd, const char *folder)
{
	static const int ignored[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE };
	pid_t group = 0, message;

	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		(void)signal(ignored[i], SIG_IGN); /* valid numbers cannot fail */
	(void)setsid(); /* a fresh child leads no group */
	/* It must hold nothing open that somebody waits to see closed. */
	if (dup2(fd, STDIN_FILENO) >= 0)
		(void)close_range(STDIN_FILENO + 1, ~0U, 0); /* ENOSYS: old kernel, it holds them then */
	while (read_full(STDIN_FILENO, &message, sizeof(message)) == (ssize_t)sizeof(message)) {
		if (message == dismissed)
			_exit(0);
		group = message;
	}
	if (group > 0)
		end_group(group);
	(void)remove_tree_at(AT_FDCWD, folder, NULL); /* nobody is left to be told */
	_exit(0);
}

int keeper_start(const char *folder, struct keeper *ret, struct error *e)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_errno(e, errno, "start the guest's keeper");
	_cleanup_(fd) int read_end = ends[0];
	_cleanup_(fd) int write_end = ends[1];
	pid_t pid = fork();

	if (pid < 0)
		return error_errno(e, errno, "start the guest's keeper");
	if (pid == 0) {
		(void)close(TAKE_FD(write_end)); /* else it would never see its end */
		keep(read_end, folder);
	}
	*ret = (struct keeper) { .pid = pid, .fd = TAKE_FD(write_end) };
	return 0;
}

int keeper_watch(struct keeper *k, pid_t group, struct error *e)
{
	int r = write_all(k->fd, &group, sizeof(group));

	return r < 0 ? error_errno(e, -r, "tell the guest's keeper") : 0;
}

void keeper_dismiss(struct keeper *k)
{
	if (k->pid <= 0)
		return;
	(void)write_all(k->fd, &dismissed, sizeof(dismissed)); /* it is gone then, which is as good */
	(void)close(k->fd); /* a pipe holds nothing back */
	while (waitpid(k->pid, NULL, 0) < 0 && errno == EINTR)
		;
	*k = (struct keeper)KEEPER_NONE;
}
