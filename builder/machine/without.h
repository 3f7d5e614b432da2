/* A machine without some of its disks, where its arrays, groups and btrfs can do without them. */
#pragma once
#include "base/error.h"
#include "machine/model.h"

/* Takes `disks` with all that is on them out of `m`: arrays lack members, groups and btrfs lie on what is left. Appends to
 * `ret_told` what that changes, for people. Refused, and `m` is as it was, when something that is on them is nowhere
 * else. A group's volumes may no longer fit then: scale_layers() says so. */
int machine_without(struct machine *m, struct device *const disks[], size_t count, struct strlist *ret_told,
		    struct error *e);

/* Is it "OLD=none", a disk that is left out? */
bool map_leaves_out(const char *text);
/* The machine that a recovery makes of `m`: machine_without() for all that `map` (NULL: nothing) leaves out, and without what
 * was missing of a btrfs already. One that is left with a single device becomes that device's content. */
int machine_leave_out(struct machine *m, const struct strlist *map, struct strlist *ret_told,
		      struct error *e);

/* Can it do without this one alone? Nothing is changed. */
bool machine_can_lack(const struct machine *m, const struct device *disk);
