/* One search of the dynamic loader: DT_RPATH, DT_RUNPATH, ld.so.cache, the default folders. Private to
 * process.c. */
#pragma once
#include "image/process.h"

/* Which file the object at index `by` of the process gets for `name`. Returns 1; 0 when there is none; a
 * negative errno when a file on the way cannot be read. */
int search_library(struct process *p, size_t by, const char *name, struct loaded *ret, struct error *e);
