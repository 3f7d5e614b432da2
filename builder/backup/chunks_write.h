/* Packed frames become the chunks NAME.METHOD.zst.NNN of a stream, in all places of a set, hashed and, where the set is so,
 * encrypted on their way. A frame is in one chunk as a whole. Private to this room. */
#pragma once
#include "backup/seal.h"
#include "backup/set_private.h"
#include "backup/stream_watch.h"

struct chunks {
	struct set_writer *w;
	char *prefix; /* NAME.METHOD.zst */
	uint64_t limit; /* bytes of a chunk */
	unsigned number; /* of the next one */
	struct frames *frames; /* where each frame comes to lie is noted there; NULL: nowhere */
	/* the open one */
	char *name; /* NULL: none is open */
	uint64_t len; /* before it is encrypted */
	struct digest *digest;
	struct seal *seal; /* what encrypts it; NULL: it stays as it is */
	int state_fd; /* where it is kept in the clear on this machine, too; -1: it is not */
};
#define CHUNKS_NONE            \
	{                      \
		.state_fd = -1 \
	}
/* `total`: about as many bytes will come; 0: not known. `frames` may be NULL. Writes nothing yet. */
int chunks_begin(struct chunks *c, struct set_writer *w, const char *name, const char *method, uint64_t total,
		 struct frames *frames, struct error *e);
/* The next frame, of `len` bytes, which holds `plain_len`. */
int chunks_put(struct chunks *c, const char *packed, size_t len, size_t plain_len, struct error *e);
/* The last chunk is on the disk, and in the sums. A thread that did not call this, or in vain, has written nothing whole. */
int chunks_end(struct chunks *c, struct error *e);
/* What is kept in the clear is flushed by then. */
void chunks_free(struct chunks *c);
DEFINE_CLEANUP(chunks, struct chunks, chunks_free)
