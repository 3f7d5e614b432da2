/* How a file system becomes a stream and comes back; one file each (method_NAME.c), one row each in method.c.
 * Private to this room. */
#pragma once
#include "backup/listing.h"
#include "backup/set.h"

struct method {
	const char *name; /* METHOD in NAME.METHOD.zst.NNN */
	/* Saves the file system on `device`, which is mounted at `mountpoint`, as NAME.METHOD, and beside it
	 * whatever the method itself drops. */
	int (*save)(struct set_writer *w, const char *name, const char *mountpoint, dev_t device,
		    uint64_t total, struct report *report, struct error *e);
	int (*restore)(struct set *s, const char *name, const char *folder, struct report *report,
		       struct error *e);
};
extern const struct method method_archive, method_dump;

/* Calls `each` for every entry of the archive that comes from `fd`, which it owns; a further name of a file has
 * mode 0. */
int archive_list(int fd, int (*each)(void *user, const struct listed *f, struct error *e), void *user,
		 struct error *e);
