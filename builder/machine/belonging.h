/* Of all that a survey has found, what is the machine that a backup brings back. */
#pragma once
#include "base/report.h"
#include "machine/model.h"
#include "machine/mounts.h"

/* Takes out of `m` the disks that are blank, or that were plugged in by chance, with all that is on them. `leave_out` names
 * more, as model.h or as a path in /dev: a disk goes as well, anything else stays as a device that recovery leaves empty. NULL:
 * nothing more. An error where that would break what stays: the root, a layer that lies on others too, what fstab needs at
 * boot. What goes is said, and a name that nothing has. */
int belonging_keep(struct machine *m, const struct mounts *mounts, const struct strlist *leave_out,
		   struct report *report, struct error *e);
