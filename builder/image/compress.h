/* The compressors that a kernel can unpack an initrd from (Linux: lib/decompress*.c), each as a stream
 * into a file. The bytes depend on what is written and the level alone, never on the machine or the
 * number of its cores. */
#pragma once
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

/* One compressor: a file compress-NAME.c, a row in compress.c's table. */
struct compressor {
	const char *name; /* as in recovery.conf and the kernel's CONFIG_RD_NAME, in small letters */
	unsigned max_level, default_level;
	void *(*open)(unsigned level); /* NULL: not enough memory */
	/* Takes `len` bytes and hands what is ready to `out`; `last`: all that is left. Returns 0, a negative errno
	 * that `out` gave, or -EIO with `*ret_why` (a constant text) when the compressor itself failed. */
	int (*write)(void *state, const void *data, size_t len, bool last,
		     int (*out)(void *user, const void *data, size_t len), void *user, const char **ret_why);
	void (*close)(void *state);
};
extern const struct compressor compressor_gzip, compressor_lz4, compressor_none, compressor_xz,
	compressor_zstd;

/* NULL when there is none of that name; `*ret_known` (may be NULL) gets the list of those there are. */
const struct compressor *compressor_find(const char *name, const char **ret_known);

/* A file that is being written through a compressor. */
struct compress {
	const struct compressor *compressor;
	void *state;
	int fd; /* caller's */
	const char *shown; /* caller's: names the file in errors */
	struct error *e; /* caller's: filled when something fails */
	int failed; /* 0, or what the first failure was */
	size_t unflushed; /* bytes that the disk has not been told of */
};

/* `level` 0 is the compressor's default. A level that it does not have is -EINVAL. */
int compress_open(const struct compressor *compressor, unsigned level, int fd, const char *shown,
		  struct compress *ret, struct error *e);
int compress_write(struct compress *c, const void *data, size_t len);
/* The last bytes. The file is not synced. */
int compress_end(struct compress *c);
void compress_close(struct compress *c);
