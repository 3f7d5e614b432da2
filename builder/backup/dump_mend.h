/* What dump(8) gets wrong (0.4b47) is put right while its stream goes by:
 * - Of blocks that were allocated and never written (backup/unwritten.h) it saves what the device holds there. They become zeros.
 * - Blocks behind a file's end (FALLOC_FL_KEEP_SIZE) are in it, too. Where they take more than one header, restore(8) does not
 *   find the files behind them. They are left out.
 * - Of a device whose number does not fit into 16 bits restore(8) makes 0:0, as it looks at the first block pointer only, and such a
 *   number lies in the second. It is put into the first, too.
 * - Its date may be too late, see dump_mend_new().
 * Private to this room. */
#pragma once
#include "backup/unwritten.h"

struct dump_mend;

/* `extents` of the device that dump reads; must outlive it. `date`, in seconds, becomes that of the dump, if that is not earlier: a
 * later level is told by its date of the one below, and restore(8) refuses it unless both are the same. It stands in each
 * header, and only those of one date are found again where restore has lost its way. */
struct dump_mend *dump_mend_new(struct unwritten *extents, int64_t date);
void dump_mend_free(struct dump_mend *m);
static inline void cleanup_dump_mend(struct dump_mend **m)
{
	dump_mend_free(*m);
}

/* The next piece of the stream, in place: whole records, but for its end. `*len` becomes what is left of it, maybe nothing. What is no
 * dump stays as it is; dump_read() refuses that. */
int dump_mend(struct dump_mend *m, char *data, size_t *len, struct error *e);
/* Puts zeros that end the stream into `data`; returns how many, up to `room`, 0: no more are needed. */
size_t dump_mend_end(struct dump_mend *m, char *data, size_t room);
