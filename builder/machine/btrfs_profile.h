/* How a btrfs lays its data and metadata on its devices: btrfs(5), mkfs.btrfs(8), "PROFILES". */
#pragma once
#include "machine/model.h"

struct btrfs_profile {
	const char *name; /* mkfs.btrfs's */
	uint64_t bit; /* of a block group's flags; 0: single */
	unsigned copies, parity; /* of each piece of data; devices of each stripe that hold none */
	unsigned least; /* so many devices it needs */
	const char *fallback; /* on fewer of them; NULL: there is none that is spread */
};
/* NULL: there is none of that name. */
const struct btrfs_profile *btrfs_profile_find(const char *name);
/* Of a block group with these flags; never NULL. */
const struct btrfs_profile *btrfs_profile_of(uint64_t flags);

/* How much data fits on devices of these sizes. */
uint64_t btrfs_capacity(const struct btrfs_profile *p, const uint64_t sizes[], size_t count);

/* ---- a DEVICE_BTRFS ---- */

/* What it uses of the device at `index`; 0: it is missing. */
uint64_t btrfs_share(const struct device *d, size_t index);
/* Its size is that of the data that it can hold, as df(1) shows it, on the devices that are not missing. */
uint64_t btrfs_spread_size(const struct device *d);
/* What its data and a margin need of that; 0: not known. */
uint64_t btrfs_spread_needed(const struct device *d);
/* How small one of its devices can be when all of them may become that small; at most its size. */
uint64_t btrfs_member_minimum(const struct device *d, const struct device *member);
/* Its devices have other sizes now: it uses no more than there is, and all of it when it `grows`. */
void btrfs_fit(struct device *d, bool grows);

/* Of "data" or "metadata": its profile, or the nearest one that its devices that are not missing can have; NULL: any. */
const char *btrfs_profile_there(const struct device *d, const char *key);
/* Takes out those of its devices that are missing, and gives it profiles that the others can have. Appends to `ret_told` what
 * that changes, for people. */
void btrfs_do_without(struct device *d, struct strlist *ret_told);
