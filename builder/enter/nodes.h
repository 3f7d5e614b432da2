/* The device nodes that a damaged system's tools need: grub-install, mkfs, cryptsetup. */
#pragma once
#include "base/error.h"
#include "base/str.h"

/* Makes the nodes and links of this system's /dev in the folder: all block devices, and of the others what is no
 * terminal. */
int nodes_copy(const char *folder, struct error *e);
/* The nodes of block devices below /dev, and device mapper's control. */
int nodes_of_disks(struct strlist *ret, struct error *e);
