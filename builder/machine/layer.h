/* What layers have in common: sizes, and how much of what lies below they take. */
#pragma once
#include "machine/model.h"

/* Sets the size of a layer from what it is made of: an array's from its component size, a crypt's from the
 * device below, a group's from its devices, a btrfs's by its profile. A volume has its own. */
void layer_set_size(struct device *d);
/* The logical sectors that the kernel gives to what is made of others: the largest of theirs. */
uint32_t device_sector_size(const struct device *d);

/* An array holds `*ret_members / *ret_copies` times what one member does; 0 members: it has too few. */
void raid_shape(const struct device *d, unsigned *ret_members, unsigned *ret_copies);
/* From the members' sizes and the component size: what the smallest member cannot use. */
void raid_set_overhead(struct device *d);
/* The members an array has by role, without its spares. */
unsigned raid_members(const struct device *d);
/* How many members such an array can lack and still have all its data. */
unsigned raid_redundancy(const struct device *d);
/* Is it a level that Lifeboat makes? */
bool raid_level_known(const char *level);

/* What holds the files that firmware finds on a partition: the mirror that it is a member of, if its members look like
 * their content (metadata at the end), else the partition itself. */
struct device *partition_content(const struct machine *m, struct device *partition);

/* The partitioned array whose first sector the first one of the disk is: it is a member as a whole, with the metadata at its
 * end. NULL: it is none such. */
const struct device *disk_shows_array(const struct machine *m, const struct device *disk);

/* What the volume takes of its group, in bytes: with its copies, parity and LVM's own metadata. A thin volume takes
 * nothing, its pool does. */
uint64_t volume_takes(const struct device *d);
bool volume_type_known(const char *type);
static inline bool volume_is_thin(const struct device *d)
{
	return streq(d->volume.type, "thin");
}
static inline bool volume_is_pool(const struct device *d)
{
	return streq(d->volume.type, "thin-pool");
}
/* "rimage_0" for the hidden volume root_rimage_0 of the volume vg0/root; NULL when it is none of its parts. */
const char *volume_part(const struct device *d, const char *hidden);
/* The name in its group: root of vg0/root. */
const char *volume_name(const struct device *d);

/* Is it a volume of this group? */
static inline bool is_volume_of(const struct device *d, const struct device *group)
{
	return d->kind == DEVICE_VOLUME && d->below[0] == group;
}

/* The bytes of a device that a group can use, in whole extents. `below` is one of the group's devices. */
uint64_t group_usable(const struct device *group, size_t below);
/* What all volumes of the group take. */
uint64_t group_taken(const struct machine *m, const struct device *group);
