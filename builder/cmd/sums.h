/* The table of what profiles, tools or modules cost, as list and build show it on stdout. */
#pragma once
#include "image/explain.h"

/* `kind` is what the sums are by. */
void sums_print(const struct image_sums *sums, const char *kind);
