/* Every file of one mounted file system, without what is mounted on it. Private to this room. */
#pragma once
#include "backup/set.h"

#include <sys/stat.h>

struct walked {
	int dirfd; /* the folder that it is in; for the root the root itself */
	const char *name; /* in that folder; "." for the root */
	const char *path; /* below the root; "." for the root itself */
	struct stat st; /* of itself: links are not followed */
};

/* Has it changed since that moment, or maybe so: the kernel's stamps of files lag by a tick. */
bool walked_changed_since(const struct walked *file, const struct timespec *moment);

enum { WALKED_PATH_MAX = 3840 };
/* restore(8) and libarchive name a file by its whole path, from where its file system is mounted then; the kernel takes 4095 bytes of
 * one. -ENAMETOOLONG: this one cannot be brought back by them. */
int walked_check_path(const struct walked *file, const struct set_source *source, struct error *e);

/* Calls `each` for the root of the file system at its folder, then for everything in it, each folder before
 * what it holds, until one returns a negative errno; a positive value of a folder: nothing of what is in it. What goes away meanwhile is left out. Another file
 * system that is mounted there is -ESTALE. `source` has its `shown`. Needs root to see what lies below other mount
 * points; without it that stays unlisted. */
int walk_filesystem(const struct set_source *source,
		    int (*each)(void *user, const struct walked *file, struct error *e), void *user,
		    struct error *e);
/* The same on all cores: `each` is called by several threads at once, in any order but that a folder comes before what it
 * holds. The first failure ends it. */
int walk_filesystem_together(const struct set_source *source,
			     int (*each)(void *user, const struct walked *file, struct error *e), void *user,
			     struct error *e);

/* The root of the source's file system, without what is mounted on it. The caller closes it. */
int walk_open(const struct set_source *source, int *ret_fd, struct error *e);
