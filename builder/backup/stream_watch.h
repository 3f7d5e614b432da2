/* A stream that is read while it is written, and where its frames come to lie. Private to this room. */
#pragma once
#include "backup/pull.h"
#include "backup/set.h"

#include <stdatomic.h>

/* One zstd frame, which unpacks by itself. */
struct frame {
	uint64_t plain; /* its first byte in the plain stream */
	uint64_t offset; /* in its chunk */
	uint64_t len; /* packed bytes */
	unsigned chunk;
};
struct frames {
	struct frame *items; /* in order */
	size_t count, capacity;
	uint64_t plain; /* bytes of all */
};
void frames_free(struct frames *f);
DEFINE_CLEANUP(frames, struct frames, frames_free)

struct stream_watch {
	/* Reads the plain stream in a thread of its own. Its failure is that of the stream. */
	int (*read)(void *user, const struct pull *in, struct error *e);
	/* Once the stream has been read to its end: in that thread, while the last of it is still packed and written. NULL: nothing
	 * more is to be done. Its failure is that of the stream, too. `failed` turns true when the stream has failed elsewhere, so that
	 * what it does is wanted no more. */
	int (*after)(void *user, const atomic_bool *failed, struct error *e);
	/* Changes the next piece of the stream in place, before anybody else sees it, in the caller's thread: whole units of 1 KiB, but
	 * at its end. `*len` becomes what is left of it, maybe nothing. Behind the end there are pieces of nothing, to which it may
	 * add `room` bytes, until it adds none. NULL: nothing is changed. */
	int (*edit)(void *user, char *data, size_t *len, size_t room, struct error *e);
	void *user;
};

/* set_add_stream(), watched. `watch` and `ret_frames` may be NULL. */
int stream_add(struct set_writer *w, const char *name, const char *method, int in_fd, uint64_t total,
	       const struct stream_watch *watch, struct frames *ret_frames, struct report *report,
	       struct error *e);
