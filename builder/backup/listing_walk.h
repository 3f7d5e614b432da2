/* A listing made by a walk, for methods whose streams cannot be read while they go by: every file is read once more for its
 * SHA-256, on all cores. Private to this room. */
#pragma once
#include "backup/listing.h"
#include "backup/walk.h"

#include <time.h>

/* What a listing says of a file, but for its content, its attributes, and where a link leads. */
struct listed listed_of(const struct walked *file);

struct listing_walk {
	const struct set_source *source;
	/* What the set below knows, and its date: of a file that is still what it was the SHA-256 is taken from there. */
	const struct listing *base; /* sorted; NULL: none */
	int64_t since;
	/* Called for each before it is listed, one at a time and in any order; `fd` is the open file or folder, or -1 for what is
	 * neither. May be NULL. */
	int (*each)(void *user, const struct walked *file, int fd, struct error *e);
	void *user;
};
/* `ret` is sorted; there are no places in it. What goes away meanwhile is left out. */
int listing_walk(const struct listing_walk *w, struct listing *ret, struct report *report, struct error *e);
