/* Is a machine that was found on disks the one that machine.conf describes: every identifier, parameter and size that
 * stands there. The disks themselves may be others. */
#pragma once
#include "base/error.h"
#include "machine/model.h"

/* One value that differs. `what`: "partition sda1". `expected`, `found`: NULL where there is none. They are lent. */
struct machine_difference {
	const char *what, *key, *expected, *found;
};

struct machine_compare_options {
	const struct strlist
		*map; /* "old=new", as plan_options.map; the others are found by their tables' identifiers */
	void (*differs)(void *user, const struct machine_difference *d);
	void *user;
};

/* Pairs `found`'s devices with `expected`'s by how they are put together, never by what is compared, and gives the
 * found ones the names of the others. `*ret_equal`: so many values are equal, `*ret_different`: are not; a device that
 * is not there is one. The order of `found->devices` is another one afterwards. */
int machine_compare(const struct machine *expected, struct machine *found,
		    const struct machine_compare_options *options, uint64_t *ret_equal,
		    uint64_t *ret_different, struct error *e);
