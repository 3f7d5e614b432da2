/* What lies beside a stream that is not read while it goes by (send, xfsdump): its listing, from a walk afterwards, and what the
 * method drops of each file, times.h and flags.h. Private to this room. */
#pragma once
#include "backup/listing_walk.h"
#include "backup/method.h"
#include "backup/stream_watch.h"

/* Walks, and adds NAME.listing, NAME.index, NAME.times and NAME.flags. `flags`: records of flags.h, which the walk's `each` may
 * add to. */
int beside_save(const struct save_job *job, const struct listing_walk *walk, const struct strbuf *flags,
		bool (*keeps_time)(const struct listed *f), const struct frames *frames, struct error *e);

/* Puts times and flags back once all else is in its place, and looks whether that is what was listed. */
int beside_restore(struct set *s, const char *name, const char *folder, struct report *report,
		   struct error *e);
