/* Taking one file out of its piece of a stream. Private to this room. */
#pragma once
#include "backup/listing.h"
#include "backup/pull.h"

/* Each makes `name` below the folder `stage` (whose descriptor is `fd`) out of the piece that `in` gives: content, attributes and
 * owner; mode and time are the caller's. `ret_flags`: what chattr(1) is to set in the end. */
int take_from_dump(const struct pull *in, const struct listed *f, int fd, const char *name,
		   uint32_t *ret_flags, struct error *e);
int take_from_archive(const struct pull *in, const struct listed *f, int fd, const char *name,
		      uint32_t *ret_flags, struct error *e);
