/* How small a device can be and still hold what is in it. */
#pragma once
#include "machine/model.h"

/* The smallest size in bytes that holds what is in it, through all layers, with a margin; at most its size. */
uint64_t device_minimum(const struct machine *m, const struct device *d);

/* What a volume can give back to its group, in whole extents. */
uint64_t volume_spare(const struct machine *m, const struct device *d);
