/* The bytes of one chunk's file, from whichever copy has them, hashed on their way. Private to this room. */
#pragma once
#include "backup/set_private.h"

struct chunk_file {
	struct report *report;
	const struct sum *sum;
	struct set_file file;
	struct digest *digest;
	unsigned tried; /* copies */
};
#define CHUNK_FILE_NONE               \
	{                             \
		.file = SET_FILE_NONE \
	}
/* `buffer` is only worked with. Where there are several copies, what is passed on has to be known to be whole before its first
 * byte is: who reads it cannot take anything back. With a single one the sum at its end has to do. */
int chunk_file_open(struct set *s, const struct sum *sum, char *buffer, size_t size, struct chunk_file *ret,
		    struct report *report, struct error *e);
/* Up to `len` bytes; fewer only at the end, which is not reached unless the whole file has its sum. */
ssize_t chunk_file_read(struct chunk_file *f, char *data, size_t len, struct error *e);
void chunk_file_close(struct chunk_file *f);
DEFINE_CLEANUP(chunk_file, struct chunk_file, chunk_file_close)
