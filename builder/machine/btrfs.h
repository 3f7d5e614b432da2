/* The subvolumes of a btrfs, by libbtrfsutil: found, opened and made. They are reached through the top level, which
 * is mounted for that where nobody else sees it, and goes with its descriptor. */
#pragma once
#include "base/error.h"
#include "base/report.h"
#include "machine/model.h"

/* Appends a device for each subvolume of the mounted btrfs on `d`, the top level first, each before what is in it.
 * Read-only snapshots are left out where they may not fit as the full copies that they become. */
int btrfs_survey(struct machine *m, struct device *d, struct report *report, struct error *e);

/* Opens the folder of a subvolume, mounted by anybody or not. */
int btrfs_open(const struct device *subvolume, int *ret_fd, struct error *e);

/* Makes a read-only snapshot of it in the top level, with a number that no other has now. `*ret_fd` is its root; for backups,
 * see machine/snapshot.h. */
int btrfs_snapshot(const struct device *subvolume, unsigned number, int *ret_fd, struct error *e);
/* Removes all of them from the mounted btrfs on the node. */
int btrfs_remove_snapshots(const char *node, struct error *e);

/* Makes all subvolumes that the machine has on `d`, empty, in the fresh btrfs on the node. */
int btrfs_make_subvolumes(const struct machine *m, const struct device *d, const char *node, struct error *e);

/* Marks the one that is mounted at the folder as read-only, if it is one that was. */
int btrfs_seal(const struct device *subvolume, const char *folder, struct error *e);

/* "subvol=/@home,compress=zstd:3": what its driver is told while it is filled. The caller frees. */
char *btrfs_mount_data(const struct device *subvolume);
