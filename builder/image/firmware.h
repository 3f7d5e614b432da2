/* Firmware, found as the kernel finds it (Linux: drivers/base/firmware_loader/main.c,
 * Documentation/driver-api/firmware/fw_search_path.rst): the plain file in each of four folders, then the
 * compressed ones. */
#pragma once
#include "image/kernel.h"
#include "image/root.h"

struct firmware {
	const struct root *root; /* caller's */
	const struct kernel *kernel; /* caller's */
	struct tree *tree; /* caller's */
	struct strlist folders; /* those that the root has, in the kernel's order */
	struct strlist built_in; /* names that are in the kernel itself: CONFIG_EXTRA_FIRMWARE */
};
void firmware_open(const struct root *root, const struct kernel *kernel, struct tree *tree,
		   struct firmware *ret);
void firmware_close(struct firmware *f);
DEFINE_CLEANUP(firmware, struct firmware, firmware_close)

/* Adds the file of this name, or all that a pattern (glob(7)) stands for, with the links that lead there.
 * A compressed one stays so where the kernel can load it. Returns how many there are, those in the kernel
 * counted; 0: none. */
int firmware_add(struct firmware *f, const char *name, const struct reason *because, struct error *e);
