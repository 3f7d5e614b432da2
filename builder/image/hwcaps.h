/* Libraries for some processors only: below the folders of glibc's loader, in glibc-hwcaps/NAME (ld.so(8)). They stay out of
 * images, which may run on another machine. */
#pragma once
#include "image/root.h"

/* The path on this machine of one of that name below one of the folders, NULL when there is none. The caller frees. */
char *hwcaps_find(const struct root *root, const struct strlist *folders, const char *name);
