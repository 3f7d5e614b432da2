/* What lies beside a stream that is not read while it goes by (send, xfsdump): its listing, from a walk afterwards, and what the
 * method drops of each file, times.h and flags.h. Private to this room. */
#pragma once
#include "backup/listing_walk.h"
#include "backup/method.h"
#include "backup/stream_watch.h"

struct beside {
	struct strbuf times, flags; /* records */
};
void beside_free(struct beside *b);

/* For the walk's `each`: the flags, and where it has to be kept (`time`) the time of a file. */
int beside_note(struct beside *b, const struct walked *file, int fd, bool time, struct error *e);
/* Walks, and adds NAME.listing, NAME.index, NAME.times and NAME.flags. */
int beside_save(struct beside *b, const struct save_job *job, const struct listing_walk *walk,
		const struct frames *frames, struct error *e);

/* Puts times and flags back once all else is in its place, and looks whether that is what was listed. */
int beside_restore(struct set *s, const char *name, const char *folder, struct report *report,
		   struct error *e);
