/* Which devices of its group a volume lies on: one segment behind the other, as LVM's metadata has it. Within a device LVM
 * chooses the extents. */
#pragma once
#include "machine/model.h"

void placement_free(struct volume *v);

/* Appends a segment of `size` bytes (0: the rest) on those devices; joined to the last one when that lies on the
 * same. */
void placement_add(struct volume *v, uint64_t size, const struct strlist *on);
/* "sda2:26214400, sdb1 sdc1": segments with commas between them, each one's devices and, but for the last, its size.
 * NULL when there are none. The caller frees. */
char *placement_format(const struct volume *v);
/* The other way round. 0 or -EINVAL, with the part that is wrong in `*ret_bad`, which the caller frees. */
int placement_parse(const char *text, struct volume *v, char **ret_bad);

/* The bytes of one segment of the volume. */
uint64_t segment_size(const struct device *volume, size_t i);
/* Does a segment lie on so many devices side by side, rather than as images of the whole? */
static inline bool is_striped_only(const char *type)
{
	return streq(type, "linear") || streq(type, "striped");
}

/* After sizes and devices have changed: where the volumes of a group no longer fit on their devices, their places are
 * forgotten, and the group is `displaced`. */
void placement_fit(struct machine *m);
