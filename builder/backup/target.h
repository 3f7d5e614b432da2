/* Where backups live: a URL, opened as a folder. One file per kind, registered in target.c.
 *
 *     smb://[user@]host[:port]/share[/path]   nfs://host[:port]/export[/path]   file:///path   dev:///dev/X
 *     disk://UUID[/path]
 *
 * %XX stands for a byte that the URL cannot hold.
 */
#pragma once
#include "base/error.h"
#include "base/report.h"
#include "conf/recovery.h"

#include <stdbool.h>
#include <sys/types.h>

struct target_url {
	char *scheme; /* smb, nfs, file, dev, disk */
	char *user, *host; /* NULL when there is none */
	char *share; /* smb: the share; disk: the UUID; nfs: the whole path, with its slash: where the export ends only the
		      * server knows; NULL otherwise */
	char *path; /* smb: below the share, without outer slashes; "" when none. file, dev: the whole path */
	unsigned port; /* 0: the default */
};
int target_url_parse(const char *text, struct target_url *ret, struct error *e);
void target_url_free(struct target_url *u);
DEFINE_CLEANUP(target_url, struct target_url, target_url_free)

enum smb_security {
	SMB_AS_SERVER,
	SMB_SIGN,
	SMB_SEAL
}; /* what the server wants; every packet signed; encrypted */

struct target_options {
	enum smb_security smb;
	const char *credentials; /* a mode 0600 file, or NULL */
	bool overwrite; /* of a device: what is on it is lost, and a person has agreed to that */
	bool write; /* backups are written: missing folders at the end of a share's path are made; otherwise
		     * mounted read-only */
	unsigned timeout; /* seconds a dead server may take; 0: 30 */
	unsigned
		retry; /* seconds for which a server that went away in the middle is tried again; 0: it is not */
};

struct target {
	char *shown; /* the URL without secrets, for messages */
	int dirfd; /* the folder that holds HOST/SET folders; of a device, itself */
	char *path; /* the same by path, in this process's mount namespace */
	dev_t disk; /* file: the device number of the file system it is on; dev, disk: its own; 0 for network targets */
	struct tape *tape; /* dev: what is on it; NULL otherwise */
	char *mounted; /* the mount point to be given back; NULL when nothing was mounted */
	/* for target_reopen(), owned */
	char *url, *credentials;
	struct target_options options;
	unsigned missing; /* replicas that could not be opened, which has been said */
	struct target *replica; /* the next one that holds the same sets, or NULL; owned, made by malloc() */
};

/* Opens it: the network ones are mounted in a mount namespace of this process's own (made at the
 * first call), so that nothing stays behind whatever happens. */
int target_open(const char *url, const struct target_options *options, struct target *ret,
		struct report *report, struct error *e);
/* Was it mounted by us, from a server or a disk that may come back, so that target_reopen() may help? */
static inline bool target_is_remote(const struct target *t)
{
	return t->mounted != NULL;
}
/* Mounts it afresh, after its server went away: once, without waiting for it. The old mount is given up;
 * `dirfd` and `path` are new ones. On failure the target stays as it is. */
int target_reopen(struct target *t, struct report *report, struct error *e);
/* Closes its replicas, too. */
void target_close(struct target *t);
DEFINE_CLEANUP(target, struct target, target_close)

/* What would be lost if backups were written to this URL: "ext4 'root'"; NULL: nothing, or it is no device. The caller
 * frees. */
int target_content(const char *url, char **ret, struct error *e);

/* Bytes that can still be written there. */
int target_room(const struct target *t, uint64_t *ret, struct error *e);

/* Mounts it at `folder` for good, for the rescue console (`lifeboat mount`). */
int target_mount(const char *url, const struct target_options *options, const char *folder,
		 struct report *report, struct error *e);
int target_unmount(const char *folder, struct error *e);
