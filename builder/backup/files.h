/* Single files out of a set, without reading more of it than the frames that hold them. */
#pragma once
#include "backup/listing.h"
#include "backup/set.h"

struct set_files;
/* Of the stream NAME.METHOD; `s` has to live as long. A set without a listing (of an older version) is -ENOENT. */
int set_files_open(struct set *s, const char *name, const char *method, struct set_files **ret,
		   struct error *e);
void set_files_close(struct set_files *f);
static inline void cleanup_set_files(struct set_files **f)
{
	set_files_close(*f);
}
const struct listing *set_files_listing(const struct set_files *f); /* sorted */

/* Restores the lines of the listing for which `wanted` is true below the folder, which exists; what holds them must be wanted
 * or be there. Each appears whole, its content compared with its SHA-256, and takes the place of what is there; of a folder
 * that is there only the time is set. All metadata are those of the listing, but no change through a link. */
int set_files_restore(struct set_files *f, const bool *wanted, const char *folder, struct report *report,
		      struct error *e);
