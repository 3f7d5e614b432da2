/* The modification times that a method drops, as a stream of their own: one record per file, folder or link,
 *
 *     TYPE SECONDS.NANOSECONDS PATH NUL
 *
 * TYPE is find(1)'s letter (f d l b c p s), SECONDS.NANOSECONDS what `touch -d @…` takes, PATH relative,
 * "." for the file system's root. Private to this room. */
#pragma once
#include "backup/set.h"
#include "backup/walk.h"

#define TIMES_METHOD "times"

/* Appends the record of one file. */
void times_record(struct strbuf *records, const struct walked *file);

/* Walks the file system on all cores (backup/walk.h). Listed are those whose time dump(8) cannot hold (31 bits of whole
 * seconds), and the root; what xattrs_list() says of each goes to `xattrs`, and `note` is called for each, in any order but one
 * at a time, with the digest of its attributes (listing.h; NULL: none). A name that restore(8) cannot bring back (255 bytes) is
 * an error. */
int times_save(struct set_writer *w, const char *name, const struct set_source *source, struct strbuf *xattrs,
	       void (*note)(void *user, const struct walked *file, const unsigned char *xattrs), void *user,
	       struct error *e);

/* Puts the times back below `folder`, where type and whole seconds are those of the record: a file that
 * the dump holds in another state keeps its own; `loose`: of folders and links only the type counts, whose times the method
 * cannot keep. A set without such a stream is fine. */
int times_restore(struct set *s, const char *name, const char *folder, bool loose, struct error *e);
