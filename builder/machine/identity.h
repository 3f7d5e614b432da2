/* How a disk is known: by sysfs, by the SCSI commands behind it, by what udev has found. */
#pragma once
#include "base/error.h"
#include "machine/model.h"

/* Is this name in /sys/block one of a disk that can carry a machine? Not: loop devices, RAM disks,
 * optical and floppy drives, device mapper, md, empty card readers. */
bool is_disk(int block_fd, const char *name);

/* Fills identity, sizes and device number of `disk` from the folder `disk->name` below `block_fd`
 * (/sys/block). */
int identify_disk(int block_fd, struct device *disk, struct error *e);
