/* Who uses a block device, as sysfs tells it. */
#pragma once
#include <sys/types.h>

/* The first holder of the disk or partition whose sysfs folder this is: dm-0, md127, bcache0 …; NULL when there
 * is none. The caller frees. */
char *block_holder(const char *folder);

/* The loop device whose backing file is the device /dev/NAME, or another node of `number`; NULL when there is
 * none. Such a loop holds nothing: the kernel would lend the device to others exclusively. `sys` is where
 * sysfs is mounted. The caller frees. */
char *block_loop(const char *sys, const char *name, dev_t number);
