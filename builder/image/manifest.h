/* What an image is made of, by content: to tell later whether this machine would still make the same one. */
#pragma once
#include "image/image.h"

/* One line for each file of the image and for its kernel, as sha256sum(1) writes and checks them in the unpacked
 * image: "HEX  ./usr/bin/mount". Sorted as the tree is; the kernel, as "./vmlinuz", comes last. */
int image_manifest(const struct image_draft *draft, struct strbuf *ret, struct error *e);

/* uname -r of its kernel; the draft's. */
const char *image_kernel_version(const struct image_draft *draft);
/* What the rescue system says when it was made: seconds since 1970. */
time_t image_created(const struct image_draft *draft);
