/* What was unpacked once and is wanted again later: in a file without a name, so that it costs no memory of
 * this program and is gone with it. Threads may add at once. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct spool;

/* In $TMPDIR or /var/tmp. NULL where that cannot be. */
struct spool *spool_new(void);
void spool_free(struct spool *s);

/* Returns 0 and where it is, or a negative errno. */
int spool_add(struct spool *s, const void *data, size_t len, uint64_t *ret_at);

/* Copies `len` bytes from `at` to the end of the file `fd`. Returns 0 or a negative errno. */
int spool_copy(const struct spool *s, uint64_t at, uint64_t len, int fd);
