/* What a kind of target supplies; one file each (target_NAME.c), one row each in target.c. Private to this
 * room. */
#pragma once
#include "backup/target.h"

struct target_kind {
	const char *scheme;
	const char *form; /* shown when a URL is not of this form */
	/* Gets the whole path, tidied, in `u->path`: checks it and sets `share` and `path` from it. NULL, or
	 * why it is no such URL. */
	const char *(*settle)(struct target_url *u);
	bool is_device; /* the path is a device that is written like a tape */
	/* Mounts `source` (the share or export, with the folders below it) at `folder`; -ENOENT when the
	 * server has no such folder. NULL: the path is a folder of this machine. */
	int (*mount)(const struct target_url *u, const struct target_options *o, const char *source,
		     const char *folder, struct error *e);
	/* Of a disk of this machine that is mounted: its number. NULL: the share is on a server. */
	int (*disk)(const struct target_url *u, dev_t *ret, struct error *e);
};
extern const struct target_kind target_file, target_smb, target_nfs, target_dev, target_disk;
const struct target_kind *target_kind_find(const char *scheme); /* NULL: none */

/* The URL as text, without secrets. The caller frees. */
char *target_url_show(const struct target_url *u);

/* ---- running mount.X ---- */

/* What a phrase in the output of a mount program means to a person. Tables end with a NULL phrase. */
struct mount_reason {
	const char *phrase;
	const char *meaning;
	int code; /* the errno that is returned */
};

/* Runs a mount program; one that has not ended after `seconds` is killed. Its failure is the error
 * "open SHOWN: MEANING", by the first reason whose phrase it printed, or else with its first line. */
int target_run_mount(const char *const argv[], const char *shown, unsigned seconds,
		     const struct mount_reason *reasons, struct error *e);

/* A mode 0600 regular file that root or this user owns, or an error. */
int target_check_credentials(const char *path, struct error *e);
