/* The block devices that are here now, of every kind (disks, partitions, volumes, arrays), with what libblkid sees
 * on them. */
#pragma once
#include "base/error.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct block {
	char *node; /* /dev/sda1, /dev/mapper/vg-root */
	dev_t number;
	char *type, *uuid; /* by libblkid: ext4, crypto_LUKS …; NULL: nothing, or nothing that is known */
	char *label; /* of it */
	char *part_uuid, *part_label; /* of the partition that it is; NULL: none */
	bool filesystem; /* the type is one */
	bool member; /* of an array or a group, whose UUID and label these are */
	bool busy; /* mounted, swapped to, or part of something that is active */
};
struct blocks {
	struct block *items;
	size_t count, capacity;
};

/* All of them but loops, RAM disks and CD drives; `only` (a node, or NULL): it, what lies on it and what is built of it. */
int blocks_find(const char *only, struct blocks *ret, struct error *e);
void blocks_free(struct blocks *b);
DEFINE_CLEANUP(blocks, struct blocks, blocks_free)
