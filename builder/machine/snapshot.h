/* Snapshots: what a backup reads while the machine goes on. A volume of LVM and a subvolume of a btrfs can have one.
 * All are taken at once, mounted read-only where nobody else sees them, and removed again: by a process of its own that waits
 * for the end of this one, however it comes. Should that be killed as well, the next backup removes them. */
#pragma once
#include "base/error.h"
#include "base/report.h"
#include "machine/model.h"

struct snapshot {
	const struct device *of; /* the caller's */
	int fd; /* its root */
	char *folder; /* the path of that in this process */
	dev_t device; /* as stat(2) says it */
};
struct snapshots {
	struct snapshot *items;
	size_t count, capacity;
	int64_t as_of; /* seconds since 1970: nothing is missing that was changed before */
	pid_t keeper; /* who removes them; 0: there are none */
	int keeper_fd; /* its end is the signal to do so */
};
#define SNAPSHOTS_NONE          \
	{                       \
		.keeper_fd = -1 \
	}

/* What is left of a killed backup goes, and no other backup of this machine takes snapshots until snapshots_end(). When that
 * cannot be had, it is said, and there will be none: a backup without is better than no backup. */
void snapshots_begin(struct snapshots *s, struct report *report);
/* One of each device of the list that can have one and is not mounted read-only. What cannot be had is said. */
void snapshots_take(struct snapshots *s, struct device *const devices[], size_t count, struct report *report);
/* NULL: there is none. */
const struct snapshot *snapshots_find(const struct snapshots *s, const struct device *d);
/* An error says which one has run full and so is worth nothing any more. */
int snapshots_check(const struct snapshots *s, struct error *e);
/* Removes them. */
int snapshots_end(struct snapshots *s, struct error *e);
/* The same for a way out that has an error already. */
void snapshots_drop(struct snapshots *s);
DEFINE_CLEANUP(snapshots, struct snapshots, snapshots_drop)
