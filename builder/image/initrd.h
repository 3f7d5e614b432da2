/* The initrd of a draft, in whatever way its kernel boots it. */
#pragma once
#include "image/draft.h"

struct outfile;

/* Writes it behind what `out` has already. `ret` counts the tree, whatever it is packed in. */
int initrd_write(struct image_draft *d, struct outfile *out, struct pack_totals *ret, struct error *e);
/* In the folder of that file it takes no fewer bytes meanwhile: an image beside the initrd counts as well. */
uint64_t initrd_least_space(const struct image_draft *d);

/* What the kernel's command line must have for the initrd in the file `path`: "" for an initramfs; for the
 * image of a file system, packed or not, which RAM disk is the root and what its init is. The caller
 * frees. */
int initrd_parameters(const char *path, char **ret, struct error *e);
