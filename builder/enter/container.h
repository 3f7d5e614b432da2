/* A system started in a container: its own PID 1 at rescue.target, its console a pty. Two kinds: systemd-nspawn, where
 * there is one, and one made of namespaces by ourselves. */
#pragma once
#include "base/cleanup.h"
#include "base/error.h"
#include "machine/recovered.h"

struct container_place {
	const struct recovered *root; /* mounted */
	const char *folder; /* for files of ours that the container sees */
	const char *console; /* the pty's slave */
	char *cgroup; /* the folder of its own control group */
};

struct container {
	pid_t pid; /* our child: PID 1 of the container, or nspawn */
	int pid_fd;
};
#define CONTAINER_NONE                 \
	{                              \
		.pid = 0, .pid_fd = -1 \
	}
void container_free(struct container *c); /* kills nothing */
DEFINE_CLEANUP(container, struct container, container_free)

struct container_kind {
	const char *name;
	bool (*available)(void);
	int (*start)(const struct container_place *place, struct container *ret, struct error *e);
	/* The container's PID 1 as we see it, once it has come to its prompt; 0: not found */
	pid_t (*init)(const struct container *c);
};
extern const struct container_kind container_nspawn, container_own;

/* A control group of its own, at `place->cgroup`. -errno where the kernel has none. */
int container_make_cgroup(struct container_place *place, struct error *e);
void container_remove_cgroup(struct container_place *place);

/* The unit files that make rescue.target end in a shell that nobody has to log in to; `container_says` appears on
 * the console before it. For all kinds. */
extern const char container_says[], container_unit_text[];
extern const char *const container_units[]; /* what they change; NULL-terminated */

/* In a forked child: its console becomes the pty, its control group is joined, no signal is blocked. */
int container_child(const struct container_place *place, struct error *e);
/* Starts a child that calls `child`, which executes something or returns an error that becomes ours. `flags`:
 * namespaces as clone(2) names them. */
int container_fork(unsigned long flags, int (*child)(const struct container_place *, struct error *),
		   const struct container_place *place, struct container *ret, struct error *e);
