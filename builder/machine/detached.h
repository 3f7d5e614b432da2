/* Mounts that have no place in the tree of files: nobody else sees them, and they go with their descriptor. */
#pragma once
#include "base/error.h"

#include <stdbool.h>

struct mount_option {
	const char *key, *value; /* value NULL: the key alone is the option */
};
/* Mounts the file system on the node; `writable` is about this mount alone: what the file system itself is may be said by the
 * option "ro". `options` ends with a key of NULL; NULL: none. `*ret_fd` is its root folder. */
int mount_detached(const char *type, const char *node, bool writable, const struct mount_option *options,
		   int *ret_fd, struct error *e);
