/* What reads a device that a file system is mounted from does not see what that has, but what the kernel keeps of the device: what
 * was written to a file is not yet there, and where a block was the file system's own and is a file's by now, it is still the former
 * one, as long as the journal holds it. Private to this room. */
#pragma once
#include "base/error.h"
#include "base/report.h"

/* Writes out the ext2, ext3 or ext4 that `fd` lies on, its journal included, and drops what is kept of the device, so that all that was
 * written before can be read from it. A journal that cannot be written out (kernels before 5.14, failing disks) is a warning only: better such
 * a backup than none. `shown` says of what. */
int device_cache_renew(int fd, const char *device, const char *shown, struct report *report, struct error *e);
