/* The content of a tree's entries, as it goes into the image. */
#pragma once
#include "image/tree.h"

/* A descriptor of what the entry's `source` holds, unpacked where it goes in so (in RAM then). The caller
 * closes it. */
int content_open(const struct entry *entry, struct error *e);
