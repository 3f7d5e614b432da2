/* How partitions lie on their disk or array, and how near its beginning they could end. */
#pragma once
#include "machine/model.h"

/* The largest power of two, from a sector to 1 MiB, on which every partition begins. */
uint64_t layout_grain(const struct machine *m, const struct device *holder);

/* Where the last partition ends. */
uint64_t layout_end(const struct machine *m, const struct device *holder);

/* What a partition can do without, in whole grains. */
uint64_t layout_spare(const struct machine *m, const struct device *partition, uint64_t grain);
/* What all of them can. */
uint64_t layout_total_spare(const struct machine *m, const struct device *holder, uint64_t grain);

/* The smallest size that its table and all partitions fit on: file systems shrunk to what their data needs and a
 * margin. `holder` has a table. */
uint64_t layout_minimum(const struct machine *m, const struct device *holder);
