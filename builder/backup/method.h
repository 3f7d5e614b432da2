/* How a file system becomes a stream and comes back; one file each (method_NAME.c), one row each in method.c.
 * Private to this room. */
#pragma once
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
