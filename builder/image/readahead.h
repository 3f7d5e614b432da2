/* The tree's files are fetched into the page cache a little ahead of the one that packs them, so that
 * on a cold cache the disk has several to work on. On a warm one it only looks at some of them. What
 * is packed does not depend on it: a file that cannot be read is the packer's to tell. */
#pragma once
#include "base/cleanup.h"
#include "image/tree.h"

struct readahead;
/* NULL where no thread can be had: then nothing is read ahead. `tree` must live longer. */
struct readahead *readahead_start(const struct tree *tree);
/* The packer has come to the entry number `index`. */
void readahead_at(struct readahead *r, size_t index);
void readahead_stop(struct readahead **r);
DEFINE_CLEANUP(readahead, struct readahead *, readahead_stop)
