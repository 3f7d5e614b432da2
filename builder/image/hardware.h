/* What this machine is made of, as the kernel tells it: below the root's proc/ and sys/. */
#pragma once
#include "image/root.h"

/* Loaded modules, in the order they were loaded. Empty where the kernel has none. */
int hardware_loaded(const struct root *root, struct strlist *ret, struct error *e);

/* The modaliases of all devices, each once, sorted. */
int hardware_modaliases(const struct root *root, struct strlist *ret, struct error *e);

/* What its file systems and volumes are, each once: names of file systems out of fstab and the mounts, "swap", "lvm",
 * "lvm thin pool", "luks", "raid", and "uefi" when its firmware is that. Removable media do not count. */
int hardware_storage(const struct root *root, struct strlist *ret, struct error *e);
