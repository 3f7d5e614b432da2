/* What chattr(1) sets and a method drops or that stands in its way, as the stream NAME.flags: one record per file or folder that
 * has any,
 *
 *     LETTERS PATH NUL
 *
 * LETTERS as chattr takes them, PATH relative, "." for the file system's root. Private to this room. */
#pragma once
#include "backup/set.h"
#include "backup/walk.h"

#define FLAGS_METHOD "flags"

/* Appends the record of an open file or folder, when it needs one. */
int flags_record(struct strbuf *records, const struct walked *file, int fd, struct error *e);
/* Takes off, below `folder`, what keeps files from being changed and removed. */
int flags_clear(const char *folder, struct error *e);
/* Puts them back, beside those that are there. A set without such a stream is fine, and so is a file that is not there. */
int flags_restore(struct set *s, const char *name, const char *folder, struct error *e);
