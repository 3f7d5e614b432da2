/* Who clears away when this process cannot: a child that does nothing until its parent is gone.
 * Should the parent die (SIGKILL, a crash), the keeper kills the guest's process group, which a
 * signal to the guest's first process alone would not (User-Mode Linux leaves spinning helpers),
 * and removes the temporary folder. */
#pragma once
#include "base/cleanup.h"
#include "base/error.h"

#include <sys/types.h>

struct keeper {
	pid_t pid; /* 0 when there is none */
	int fd; /* its end of file is the parent's death */
};
#define KEEPER_NONE                \
	{                          \
		.pid = 0, .fd = -1 \
	}

/* Guards `folder` from here on. */
int keeper_start(const char *folder, struct keeper *ret, struct error *e);
/* Guards the guest whose process group this is. */
int keeper_watch(struct keeper *k, pid_t group, struct error *e);
/* The caller has cleared away by itself; the keeper ends and is reaped. */
void keeper_dismiss(struct keeper *k);
DEFINE_CLEANUP(keeper, struct keeper, keeper_dismiss)
