/* Listing, index and list of changed files as streams of a set. The index is text:
 *
 *     # lifeboat index 1
 *     frame CHUNK OFFSET LENGTH PLAIN        for each zstd frame of the stream, in order: where its bytes are, and
 *                                            which byte of the plain stream is its first
 *     BACK START END                         for each line of the listing, in its order: bytes [START, END) of the plain
 *                                            stream of the same name in the set that is BACK links down the chain
 *
 * so that `tail -c +OFFSET+1 CHUNK | head -c LENGTH | zstd -d` is a part of the stream. Private to this room. */
#pragma once
#include "backup/listing.h"
#include "backup/stream_watch.h"

#define INDEX_METHOD "index"
#define CHANGED_METHOD "changed"
#define EXCLUDED_METHOD "excluded"

/* Whatever can go through a listing in its order, again and again. */
struct listing_source {
	int (*walk)(void *user, int (*each)(void *user, const struct listed *f, struct error *e),
		    void *each_user, struct error *e);
	void *user;
};
struct listing_source listing_source(struct listing *l); /* sorted; stays the caller's */
/* A stream of text about each file. */
struct listing_text {
	const char *method;
	/* Appends line `number`, from 0 on, of those that come first; false: there are no more. NULL: there are none. */
	bool (*begin)(struct strbuf *text, size_t number, const void *user);
	/* Appends what there is to be said of a file, which may be nothing. */
	void (*add)(struct strbuf *text, const struct listed *f, const void *user);
	const void *user;
};
int listing_text_save(struct set_writer *w, const char *name, const struct listing_text *what,
		      const struct listing_source *source, struct error *e);
/* Writes NAME.listing and NAME.index. */
int listing_save(struct set_writer *w, const char *name, const struct frames *frames,
		 const struct listing_source *source, struct error *e);

/* Reads both. `ret_frames` may be NULL. A set without them is -ENOENT. */
int listing_load(struct set *s, const char *name, struct listing *ret, struct frames *ret_frames,
		 struct error *e);
/* Gives each file of the listing to `each`, without reading the index, and without keeping any of them. */
int listing_each(struct set *s, const char *name,
		 int (*each)(void *user, const struct listed *f, struct error *e), void *user,
		 struct error *e);
bool listing_there(const struct set *s, const char *name);

/* The paths (below the mount point) of files that changed while they were read, as the stream NAME.changed, one per line, quoted
 * as in a listing; and a warning that names some. None: neither. */
int changed_save(struct set_writer *w, const char *name, const char *mountpoint, const struct strlist *paths,
		 struct report *report, struct error *e);

/* The same for what was left out by patterns, as NAME.excluded, and how many these are. */
int excluded_save(struct set_writer *w, const char *name, const char *mountpoint, const struct strlist *paths,
		  struct report *report, struct error *e);
