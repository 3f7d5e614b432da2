/* A command or a shell inside the damaged system: in the namespaces of its container, or by chroot alone. */
#pragma once
#include "base/error.h"
#include "machine/recovered.h"

struct inside {
	pid_t init; /* the container's PID 1; 0: chroot into `root` */
	const char *root; /* folder */
	const char *command; /* NULL: a login shell */
	int signal_fd; /* a signalfd: what ends it */
};

/* stdin, stdout and stderr are the person's. `*ret_status` as in enter_system(). */
int inside_run(const struct inside *i, int *ret_status, struct error *e);

/* /dev, /proc, /sys and a fresh /run, for chroot. */
int inside_bind(struct recovered *root, struct error *e);
