#include "image/ram.h"

enum {
	kernel_unpacked = 4, /* times the size of its file */
	working_memory = 96 << 20, /* for the kernel and the tools of a recovery */
};

/* While the kernel unpacks, the initrd and the tree are in RAM; later the init's copy of the tree beside
 * the first one. A tmpfs takes half of the RAM at most, so twice the tree is the least in any case. */
uint64_t ram_needed(uint64_t kernel, uint64_t initrd, uint64_t tree)
{
	return tree + (tree > initrd ? tree : initrd) + kernel_unpacked * kernel + working_memory;
}
