/* How much RAM a machine needs to start an image and to work with it. */
#pragma once
#include <stdint.h>

/* Bytes, out of the sizes of the kernel's file, of the initrd, and of the unpacked tree in a tmpfs. */
uint64_t ram_needed(uint64_t kernel, uint64_t initrd, uint64_t tree);
