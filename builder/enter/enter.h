/* The door of this room: the damaged system from within. Its file systems are checked and mounted as its fstab wants
 * them, and it is started in a container at rescue.target, or entered with chroot where it cannot be started.
 *
 * All of it happens in a mount and a PID namespace of its own: whatever ends it, a signal or a crash, the kernel
 * then kills what still runs inside and unmounts (and so writes) everything. */
#pragma once
#include "enter/activate.h"
#include "enter/check_fs.h"
#include "enter/systems.h"

struct enter_options {
	bool check; /* file systems, before they are mounted */
	enum check_answers answers;
	bool plain; /* chroot at once */
	const char *command; /* run inside by its /bin/sh; NULL: a shell on the terminal (stdin) */
	unsigned within; /* seconds until the system must have come to its prompt */
};

/* Moves this process into a mount namespace of its own. The folder at which to look for systems is
 * `*ret_folder`, and stays the room's. Call once, before anything else. */
int enter_prepare(const char **ret_folder, struct error *e);

/* `*ret_status`: the exit status of the command or the shell, 128 + N after a signal N. */
int enter_system(const struct installed *system, const struct enter_options *options, struct report *report,
		 int *ret_status, struct error *e);
