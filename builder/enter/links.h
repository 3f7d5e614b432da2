/* What udev would make where there is none: /dev/disk/by-uuid and its like. Tools of a damaged system look there for what
 * a device is called in every system: without its link grub-mkconfig writes root=/dev/sda1 for the root's UUID. */
#pragma once
#include "enter/devices.h"

/* Below the folder `dev`; a link that is there already is made anew. */
int links_make(const char *dev, const struct blocks *blocks, struct error *e);
