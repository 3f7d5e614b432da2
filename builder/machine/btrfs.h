/* A btrfs on several devices, and the subvolumes of any, by libbtrfsutil: found, opened and made. Subvolumes are reached through the top level, which
 * is mounted for that where nobody else sees it, and goes with its descriptor. */
#pragma once
#include "base/error.h"
#include "base/report.h"
#include "machine/model.h"

/* ---- its devices ---- */

/* What the superblock on one of its devices says of it. */
struct btrfs_superblock {
	uint64_t devices; /* so many there are */
	uint64_t generation, id, size; /* id, size: of this one */
	char uuid[37]; /* of this one */
};
int btrfs_read_device(const char *node, struct btrfs_superblock *ret, struct error *e);

/* Appends each btrfs that lies on several devices of `m`, which become members of it; mounted or not. */
int btrfs_survey_devices(struct machine *m, struct report *report, struct error *e);

/* Are both devices of one mounted btrfs? */
bool btrfs_is_same(dev_t a, dev_t b);

/* Tells the kernel of its devices, so that each of them can be mounted for all: where no udev runs nobody else does. */
int btrfs_register(const struct strlist *nodes, struct error *e);

/* Makes it on these nodes together. */
int btrfs_make_on(const struct strlist *nodes, const struct content *c, struct error *e);
/* The same on sparse files; see fs.h. */
int btrfs_try_on(const struct strlist *files, const struct content *c, struct error *e);
/* btrfs_make_on() where the kernel may remember another one of its UUID, on devices that are gone or lie here still: it forgets
 * them first. */
int btrfs_make_alone(const struct strlist *nodes, const struct content *c, struct error *e);
/* The same for a DEVICE_BTRFS, whose devices that are not missing have these nodes; they are registered then. */
int btrfs_make_spread(const struct device *d, const struct strlist *nodes, struct error *e);

/* ---- its subvolumes ---- */

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

/* Those of the btrfs on `d` that come by btrfs-receive(8), each behind the one that it shares data with. The caller frees the
 * array. -EINVAL: `send-parent` goes round in a circle, or leads to none of them. */
int btrfs_received(const struct machine *m, const struct device *d, struct device ***ret, size_t *ret_count,
		   struct error *e);
/* Where they are received, below the top level: a folder for each, by the name of its stream. */
#define BTRFS_RECEIVED ".lifeboat-received"

/* Makes all subvolumes that the machine has on `d` in the fresh btrfs on the node: out of those that were received there, else
 * empty. */
int btrfs_make_subvolumes(const struct machine *m, const struct device *d, const char *node, struct error *e);

/* Marks the one that is mounted at the folder as read-only, if it is one that was. */
int btrfs_seal(const struct device *subvolume, const char *folder, struct error *e);

/* "subvol=/@home,compress=zstd:3": what its driver is told while it is filled. The caller frees. */
char *btrfs_mount_data(const struct device *subvolume);
