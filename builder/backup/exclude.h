/* What a backup leaves out. A pattern (fnmatch(3), where '*' and '?' do not match '/') is a path of the machine, or a name
 * that counts in every folder. A folder that matches stays, empty; of what lies in it nothing is read. */
#pragma once
#include "base/str.h"

/* Does it leave out this path of the machine ("/var/cache") itself; not: what lies below a folder that does. */
bool exclude_matches(const struct strlist *patterns, const char *path);
/* Does it leave out the path, or a folder above it. */
bool exclude_covers(const struct strlist *patterns, const char *path);
/* The patterns that may match something of the file system mounted at `mountpoint` (NULL: nowhere, only names count).
 * `all`: all mount points; what matches below one that lies deeper is that one's. */
void exclude_concerning(const struct strlist *patterns, const char *mountpoint, const struct strlist *all,
			struct strlist *ret);
