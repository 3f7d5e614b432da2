/* The damaged system's file systems at one folder, as its own fstab wants them. */
#pragma once
#include "enter/check_fs.h"
#include "enter/systems.h"
#include "machine/recovered.h"

/* Checks and mounts the root for writing, then what the fstab in it names and is here. Only a root that cannot be
 * had is an error: what else is missing may be what the person has come to repair, and is told. */
int rootfs_mount(struct recovered *root, const struct installed *system, bool check,
		 enum check_answers answers, struct report *report, struct error *e);

/* Does a line of fstab name a device in a way that means the same in every system: by UUID, label, or the name of a
 * volume, but not /dev/sda1? */
bool fstab_name_lasts(const char *spec);
