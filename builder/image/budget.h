/* max-initrd: an image that is larger is not made. */
#pragma once
#include "image/draft.h"

/* Compares the result's initrd_size, measured or guessed, with the configuration's limit. -EFBIG: over it;
 * the error names what costs most and what to do about it. */
int budget_check(struct image_draft *d, struct error *e);
