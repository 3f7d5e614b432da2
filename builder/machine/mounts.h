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

/* Where the device number is mounted (as a whole, not a folder of it; of a btrfs any subvolume, "/" if it is that); NULL:
 * nowhere. */
const char *mounts_folder(const struct mounts *m, dev_t devno);
/* The same, but only where its files are seen: nothing else is mounted over it. */
const char *mounts_seen(const struct mounts *m, dev_t devno);
/* Where the subvolume of the btrfs on the device is mounted; NULL: nowhere by itself. */
const char *mounts_subvolume(const struct mounts *m, dev_t devno, const char *path);
/* Appends the node of each btrfs that is mounted. */
void mounts_btrfs(const struct mounts *m, struct strlist *ret);
/* The options of fstab's entry that mounts the device at the folder; NULL: it has none. */
const char *mounts_options(const struct mounts *m, const struct device *d, const char *folder);
bool mounts_is_swap(const struct mounts *m, dev_t devno);
/* fstab's entry for a device, however it names it: mount point and options. False: it has none. */
bool mounts_fstab(const struct mounts *m, const struct device *d, const char **ret_folder,
		  const char **ret_options);
/* Where fstab mounts the device at boot, which stops there without it (systemd.mount(5): neither nofail nor noauto); NULL. */
const char *mounts_needed(const struct mounts *m, const struct device *d);
