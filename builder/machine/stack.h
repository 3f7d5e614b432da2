/* What the kernel runs on a disk without anybody using it: arrays, volume groups, LUKS mappings of whoever had the disk
 * before, as they are started by themselves when a disk is plugged in. */
#pragma once
#include "base/error.h"
#include "machine/model.h"

/* Why a block device, by its name in /sys/class/block, is in use by something that is not above it (a mount, swap);
 * NULL when it is not. The caller frees. */
typedef char *(*stack_use)(const void *user, const char *name);

/* Everything that lies on the disk or partition `name`, the uppermost first: kernel names into `ret->stop`, "md127 of
 * sdb1 and sdc1" into `ret->stop_shown`; what is there already is not added again. NULL, or why it cannot be stopped:
 * something in it is used, or of a kind that Lifeboat does not stop (the caller frees). `sys` is where sysfs is. */
char *stack_find(const char *sys, const char *name, stack_use use, const void *user, struct presence *ret);

/* Stops the device of that kernel name, by which nothing is written but that an array is clean. */
int stack_stop(const char *name, struct error *e);
