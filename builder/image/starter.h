/* The small initramfs that starts a rescue system which is packed as a file system's image: busybox, the
 * modules that mounting it takes, the image, and starter/init, which brings these together. */
#pragma once
#include "image/draft.h"
#include "image/pack.h"

/* Writes it to `fd`. `image` is a descriptor of the image. */
int starter_pack(struct image_draft *d, int image, int fd, const char *shown, struct error *e);
