/* What larger disks have more goes to the devices that --grow names: to a file system, or to a volume group, an array or
 * a LUKS device with all that lies between it and the disks. */
#pragma once
#include "base/error.h"
#include "machine/model.h"

/* By index of the machine's devices. */
struct growth {
	bool *grows; /* a named one, what it lies on, and what lies on that and follows it */
	bool *takes; /* a volume that takes all that is free in its group */
	struct device **named; /* in the order of the names */
	size_t named_count;
};
void growth_free(struct growth *g);
DEFINE_CLEANUP(growth, struct growth, growth_free)

/* Finds what is named: mount points, names of devices, their nodes. Refused: what is not there or cannot grow, and two
 * names for the room of one disk. `names` may be NULL. */
int grow_find(const struct machine *m, const struct strlist *names, struct growth *ret, struct error *e);

/* Once the disks have their new sizes: the room behind the last partition to those that grow. `old_sizes`: of all
 * devices, before. */
void grow_partitions(struct machine *m, const struct growth *g, const uint64_t *old_sizes);

/* Once all have their new sizes: refused with the numbers when room was taken that what is named cannot use. */
int grow_check(const struct machine *m, const struct growth *g, const uint64_t *old_sizes, struct error *e);
