/* A part of a plain stream, from the frames that hold it. Private to this room. */
#pragma once
#include "backup/pull.h"
#include "backup/stream_watch.h"
#include "backup/unseal.h"

struct piece {
	/* the caller's: */
	struct set *s;
	const char *name, *method;
	const struct frames *frames;
	struct report *report;
	uint64_t at, end; /* bytes of the stream that are still to be given */
	/* the frame that was unpacked last is kept, for the next piece: */
	char *packed, *plain;
	size_t packed_size, plain_size, plain_len, frame;
	struct unseal
		*sealed; /* encrypted chunk `sealed_chunk` of that method, read up to byte `sealed_at` */
	const struct frames *sealed_of;
	unsigned sealed_chunk;
	uint64_t sealed_at;
	const struct frames *unpacked; /* whose `frame` is in `plain`; NULL: nothing */
};
void piece_free(struct piece *p);
DEFINE_CLEANUP(piece, struct piece, piece_free)
/* { .next = piece_next, .user = the piece } */
ssize_t piece_next(void *user, const char **ret, struct error *e);
