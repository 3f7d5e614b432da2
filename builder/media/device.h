/* What /sys and /proc say of a disk, and whether it may be overwritten. Both roots are parameters,
 * so that tests can show a machine that is not there. */
#pragma once
#include "media/media.h"

struct device_roots {
	const char *sys, *proc; /* "/sys", "/proc" */
};

/* Fills all but `path` and `content`: identity from sysfs and, in `refusal`, the first reason
 * found there against writing to the disk. */
int device_describe(const struct device_roots *roots, dev_t number, struct usb_device *ret, struct error *e);

/* "sda1 ext4 'root' 20.0 GiB" for the disk and each partition in its table, whether the kernel
 * knows them or not. `name` is the disk's. */
int device_content(int fd, const char *name, struct strlist *ret, struct error *e);
