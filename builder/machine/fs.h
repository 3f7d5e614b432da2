/* File systems: what Lifeboat knows to describe and to make again. One file for each, registered
 * in the table of fs.c. */
#pragma once
#include "base/error.h"
#include "base/report.h"
#include "conf/ini.h"
#include "machine/commands.h"
#include "machine/model.h"

struct fs_ops {
	const char *const *types; /* libblkid's names, NULL-terminated */
	enum content_kind kind;
	const char *mount_type; /* for mount(2); NULL: cannot be mounted */
	const char *mount_data; /* options of its driver while it is filled; NULL: none */
	const char *method; /* how its files are backed up; NULL: they are not */
	const struct ini_key *keys; /* its parameters in machine.conf, each "fs.KEY" */
	int (*check_uuid)(const char *uuid); /* 0 or -EINVAL */
	const char *uuid_expected; /* for messages */

	/* Reads the parameters into `c->parameters` and `c->used` from the device node; `folder` is where
	 * it is mounted, or NULL. What cannot be rebuilt is an error that says so. */
	int (*describe)(const char *node, const char *folder, struct content *c, struct report *report,
			struct error *e);
	/* The smallest size in bytes that holds its data with a margin; 0: cannot be made smaller. */
	uint64_t (*minimum)(const struct content *c);
	/* Its own size in bytes; 0 when it takes what it gets. */
	uint64_t (*size)(const struct content *c);
	/* Adapts the parameters to a device of another size. NULL: nothing depends on it. */
	void (*resize)(struct content *c, uint64_t old_size, uint64_t new_size);
	/* The smallest unit it reads; a disk with larger sectors cannot hold it. */
	uint64_t (*block_size)(const struct content *c);
	/* What make() runs, in order, for a person who does it by hand; `node` is a word as it is. NULL: it does more than that. */
	void (*commands)(const char *node, const struct content *c, struct commands *ret);
	/* Makes it on the node, exactly as described. */
	int (*make)(const char *node, const struct content *c, struct error *e);
	/* Does the same on a sparse file of the device's size, less what takes long or much room and shows nothing
	 * that could fail. NULL: make() takes little of either. */
	int (*try)(const char *file, const struct content *c, struct error *e);
};

/* By libblkid's name; NULL: unknown to Lifeboat. */
const struct fs_ops *fs_find(const char *type);
/* All of them, NULL-terminated. */
extern const struct fs_ops *const fs_all[];
/* "ext2, ext3, ext4, vfat": the names of the given kind. The caller frees. */
char *fs_names(enum content_kind kind);

extern const struct fs_ops fs_btrfs, fs_ext, fs_swap, fs_vfat, fs_xfs;

/* Reads 4096 bytes of the device past the cache of the block layer, which may be old while the file system is
 * mounted. */
int fs_read_block(const char *node, uint64_t offset, void *ret, struct error *e);
/* Is the name one of the words of the parameter? */
bool content_has_word(const struct content *c, const char *key, const char *name);
/* A parameter as a number; 0 when it is not set. */
uint64_t content_number(const struct content *c, const char *key);
void content_set_number(struct content *c, const char *key, uint64_t value);
