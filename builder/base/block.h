/* Who uses a block device, as sysfs tells it. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* The whole disk (or array) that a device number lies on (through partitions), by sysfs; 0 when it is none. */
dev_t block_disk(dev_t number);
/* Which partition of its disk a device number is; 0 when it is none. */
unsigned block_partition(dev_t number);

/* Its node by the kernel's own name, which is there without udev too: "/dev/dm-0", "/dev/cciss/c0d0p1". NULL when there is no such
 * device. The caller frees. */
char *block_node(dev_t number);

/* All disks that something of it lies on, through whatever is between: an array appended to `*ret`, which has `*count`.
 * The caller frees. */
void block_disks(dev_t number, dev_t **ret, size_t *count);

/* Does everything that the device is made of (through partitions, arrays, device-mapper) lie on these disks? */
bool block_lies_on(dev_t number, const dev_t disks[], size_t count);

/* The first holder of the disk or partition whose sysfs folder this is: dm-0, md127, bcache0 …; NULL when there
 * is none. The caller frees. */
char *block_holder(const char *folder);

/* The loop device whose backing file is the device /dev/NAME, or another node of `number`; NULL when there is
 * none. Such a loop holds nothing: the kernel would lend the device to others exclusively. `sys` is where
 * sysfs is mounted. The caller frees. */
char *block_loop(const char *sys, const char *name, dev_t number);
