/* The method `archive`, between saving (method_archive.c) and what reads its streams. Private to this room. */
#pragma once
#include "backup/method.h"

#define ARCHIVE_METHOD "archive"
/* What is no longer there since the set below: paths, each with a NUL. */
#define DELETED_METHOD "deleted"

enum { archive_block = 1 << 20 }; /* bytes, of the archive and of what is read at once */

int archive_restore(struct set *s, const char *name, const char *folder, bool last, struct report *report,
		    struct error *e);

/* Calls `each` for every entry of the archive that comes from `fd`, which it owns; a further name of a file has
 * mode 0. */
int archive_list(int fd, int (*each)(void *user, const struct listed *f, struct error *e), void *user,
		 struct error *e);
