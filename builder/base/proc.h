/* Children by an argv vector, never through a shell. Every exit status is looked at; what a child
 * wrote to stderr is kept, and its last line becomes part of the error. A child does not outlive
 * this program: it gets SIGTERM when its parent dies. */
#pragma once
#include "base/error.h"
#include "base/str.h"

#include <sys/types.h>

struct proc_options {
	int stdin_fd; /* stays the caller's; 0 means /dev/null */
	int stdout_fd; /* stays the caller's; 0 means: kept with stderr */
	int stderr_fd; /* stays the caller's; 0 means: kept for the error */
	const char *chroot; /* run inside this root, with umask 022; NULL for none */
	const char
		*cwd; /* the child's working folder (inside `chroot`, if any); NULL: this process's, or "/" */
	const char *const *env; /* "NAME=VALUE"s set beside the environment; NULL for none */
	bool interactive; /* the terminal's stdin, stdout and stderr are the child's; without it the child
			   * has no terminal at all, and cannot ask behind our back */
	unsigned accept; /* bit n set: exit status n is success too (fsck's 1, tar's 1) */
};

struct proc {
	pid_t pid; /* 0 when there is none */
	char *command; /* argv joined, for messages */
	bool leader; /* of a session of its own: its children are killed with it */
	int said_fd; /* what it wrote to stderr, or -1 */
	unsigned accept;
};
#define PROC_NONE                       \
	{                               \
		.pid = 0, .said_fd = -1 \
	}

/* Starts it. `argv[0]` is looked for in PATH and the sbin folders. `options` may be NULL.
 * A program that cannot be executed is an error here, not an exit status later. */
int proc_spawn(const char *const argv[], const struct proc_options *options, struct proc *ret,
	       struct error *e);

/* Waits. A status that is not accepted, or a signal, is the error
 * "COMMAND: exit status N: LAST LINE OF STDERR" (the last before "Usage:"). `ret_status` (may be NULL) gets the exit status. */
int proc_wait(struct proc *p, int *ret_status, struct error *e);

/* The same, but a child that has not ended after `seconds` is killed, and the error is
 * "COMMAND: no answer within N seconds". */
int proc_wait_within(struct proc *p, unsigned seconds, struct error *e);

/* Ends and reaps it, if it is still there. */
void proc_kill(struct proc *p);
DEFINE_CLEANUP(proc, struct proc, proc_kill)

/* Spawn and wait. */
int proc_run(const char *const argv[], const struct proc_options *options, struct error *e);

/* Spawn, read stdout whole (at most 64 MiB) and wait; the caller frees `*ret_out`. */
int proc_capture(const char *const argv[], const struct proc_options *options, char **ret_out,
		 struct error *e);

/* Where a program is, by PATH and then the sbin folders; NULL when nowhere. The caller frees. */
char *proc_find_program(const char *name);
