/* Fitting a disk's layout onto a disk of another size. */
#pragma once
#include "base/error.h"
#include "machine/grow.h"

/* Why a disk with these sectors cannot take `disk`'s place, as the end of "sdb …"; NULL when it can.
 * The caller frees. */
char *scale_obstacle(const struct machine *m, const struct device *disk, uint32_t sector_size);

/* Changes `disk` (or an array with a table), its partitions and the parameters of their file systems to fit one of
 * `size` bytes with logical sectors of `sector_size`. A larger one keeps the layout; on a smaller one the
 * file systems that can shrink each give a share of what they have to spare, and what follows moves
 * forward. Order, alignment and all identifiers stay. Refused with the numbers when it cannot fit. */
int scale_disk(struct machine *m, struct device *disk, uint64_t size, uint32_t sector_size, struct error *e);

/* Gives `d` and its file system all that is free behind the last partition of its disk or array, which was scaled before.
 * What lies behind `d` moves to the end; an extended partition around it grows along. `old_size` is what `d` had
 * before its disk was scaled: a file system on a whole disk grows when the disk is larger. */
void scale_grow(struct machine *m, struct device *d, uint64_t old_size);

/* Once every disk has its new size: arrays, crypts, groups and their volumes follow what lies below them. Arrays and
 * volumes do not grow, but for those of `growth`. */
int scale_layers(struct machine *m, const struct growth *growth, struct error *e);
