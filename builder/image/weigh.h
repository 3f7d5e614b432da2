/* What each file of a tree costs in the packed image. A compressed image has no bytes that belong to one
 * file alone, so this is a weight: the file compressed by itself, fast (zstd -1), and its header. Weights
 * are good for comparing files, and their sum for guessing the size of the whole. */
#pragma once
#include "base/error.h"
#include "image/compress.h"
#include "image/tree.h"

struct weights {
	uint64_t *bytes; /* by entry */
	uint64_t total;
};
void weights_free(struct weights *w);
DEFINE_CLEANUP(weights, struct weights, weights_free)

/* Where `compressor` compresses nothing the weights are exact. Files are read by as many threads as there
 * are cores. */
int weigh_tree(const struct tree *tree, const struct compressor *compressor, struct weights *ret,
	       struct error *e);

/* Guesses how many bytes the tree takes when the compressor packs it: some of the files are compressed
 * as they would be, and the weights carry that over to the rest. A tree of at most 24 MiB is compressed
 * as a whole. */
int weigh_guess(const struct tree *tree, const struct weights *weights, const struct compressor *compressor,
		unsigned level, uint64_t *ret_bytes, struct error *e);
