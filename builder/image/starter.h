/* The small initramfs that starts a rescue system which is packed as a file system's image: busybox, the
 * modules that mounting it takes, the image, and starter/init, which brings these together. An image that is compressed
 * already lies behind that archive in one of its own, as it is: xz would take longer for it than for the tree
 * (21 s instead of 17 for 50 MB) and gain nothing. */
#pragma once
#include "image/draft.h"
#include "image/pack.h"

/* Writes it to `fd`. `image` is a descriptor of the image. */
int starter_pack(struct image_draft *d, int image, int fd, const char *shown, struct error *e);
