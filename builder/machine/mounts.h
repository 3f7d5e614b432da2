/* What is mounted, what fstab wants mounted, what is swapped to; by libmount. */
#pragma once
#include "base/error.h"
#include "machine/model.h"

struct mounts;
int mounts_load(struct mounts **ret, struct error *e);
void mounts_free(struct mounts *m);
static inline void cleanup_mounts(struct mounts **m)
{
	mounts_free(*m);
}

/* Where the device number is mounted (as a whole, not a folder of it); NULL: nowhere. */
const char *mounts_folder(const struct mounts *m, dev_t devno);
bool mounts_is_swap(const struct mounts *m, dev_t devno);
/* fstab's entry for a device, however it names it: mount point and options. False: it has none. */
bool mounts_fstab(const struct mounts *m, const struct device *d, const char **ret_folder,
		  const char **ret_options);
