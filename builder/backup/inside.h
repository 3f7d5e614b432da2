/* Changing what restore(8) has made, below a folder and never through a link. Private to this room. */
#pragma once
#include "base/error.h"

#include <stdint.h>

/* Opens a path below the root and through no link, whatever a record says; a link itself by O_PATH. Returns the
 * descriptor or -1 with errno. */
int open_inside(int rootfd, const char *path, uint64_t flags);

/* Calls `change` on an immutable or append-only file or folder, whose flag is taken off for the moment. -EPERM
 * when it has none. */
int change_flagged(int rootfd, const char *path, int (*change)(int fd, void *user), void *user);

/* `rm -rf` of "./PATH". Missing is fine; so is a folder on the way that is missing or a link: it is not there, then. */
int remove_inside(int rootfd, const char *path, struct error *e);
