/* The recovered system's file systems while they are being filled: mounted in order below one
 * folder, and unmounted again in reverse. */
#pragma once
#include "base/error.h"
#include "machine/model.h"

struct recovered {
	const char *path; /* the folder: /mnt/hd; the caller's */
	struct strlist mounts; /* mounted folders by their real paths, in order */
	struct strlist names; /* the device's name of each of them, "" for others */
};

/* Mounts the file system of `d` from `node` at its mount point below the folder (links on the way
 * are followed inside it); one without a mount point gets the folder's name with ".NAME" behind. */
int recovered_mount(struct recovered *r, const struct device *d, const char *node, struct error *e);
/* The top level of the btrfs on `d`, beside the root; once. The path is `r`'s. */
int recovered_mount_top(struct recovered *r, const struct device *d, const char *node,
			const char **ret_folder, struct error *e);

/* The real path of a folder inside, made if it is missing: where a mount that recovered_add() then remembers belongs.
 * The caller frees. */
int recovered_inside(const struct recovered *r, const char *folder, char **ret, struct error *e);
/* Takes what the caller mounted at `path` (owned from here on): unmounted with the rest, and flushed before that
 * unless `name` is "". */
void recovered_add(struct recovered *r, char *path, const char *name);

/* Where that is; NULL when it is not mounted. */
const char *recovered_folder(const struct recovered *r, const struct device *d);

/* The folders that a system mounts on when it boots, should they be missing. */
int recovered_make_folders(const struct recovered *r, struct error *e);

/* This system's /dev, /proc, /sys and /run in it, for programs that run inside. */
int recovered_bind(struct recovered *r, struct error *e);

/* Unmounts what a recovery that was killed has left mounted at `path` and below, and at the folders "PATH.NAME". */
int recovered_clear(const char *path, struct error *e);

/* Unmounts everything; what cannot be unmounted is the error. Once empty, does nothing. */
int recovered_unmount(struct recovered *r, struct error *e);
