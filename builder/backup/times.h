/* The modification times that a method drops, as a stream of their own: one record per file, folder or link,
 *
 *     TYPE SECONDS.NANOSECONDS PATH NUL
 *
 * TYPE is find(1)'s letter (f d l b c p s), SECONDS.NANOSECONDS what `touch -d @…` takes, PATH relative,
 * "." for the file system's root. Private to this room. */
#pragma once
#include "backup/listing_stream.h"
#include "backup/set.h"

#include <sys/types.h>
#include <time.h>

#define TIMES_METHOD "times"

/* Appends the record of one file. */
void times_record(struct strbuf *records, mode_t mode, const struct timespec *mtime, const char *path);

/* Writes the records of those whose time the method does not keep by itself. */
int times_save(struct set_writer *w, const char *name, const struct listing_source *source,
	       bool (*keeps_time)(const struct listed *f), struct error *e);

/* Puts the times back below `folder`, where type and whole seconds are those of the record: a file that
 * the dump holds in another state keeps its own; `loose`: of folders and links only the type counts, whose times the method
 * cannot keep. A set without such a stream is fine. */
int times_restore(struct set *s, const char *name, const char *folder, bool loose, struct error *e);
