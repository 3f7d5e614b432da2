/* What is on a disk, by libblkid. */
#pragma once
#include "base/error.h"
#include "machine/model.h"

/* Fills `disk`'s table, partitions (added to `m`) and contents, and `now.holds`. What Lifeboat cannot
 * make again has CONTENT_NONE and a type. Reads only. */
int probe_disk(struct machine *m, struct device *disk, struct error *e);

/* -ESTALE when the node does not hold a content of this type and, if it has one, this UUID. */
int probe_expect(const char *node, const struct content *expected, struct error *e);

/* Fills the content of a layer, by its node; of an array also its table, and adds its partitions with theirs to `m`. */
int probe_layer(struct machine *m, struct device *d, struct error *e);

/* Removes every signature that libblkid knows in [start, start + size) of the open device. */
int wipe_signatures(int fd, const char *shown, uint64_t start, uint64_t size, struct error *e);
