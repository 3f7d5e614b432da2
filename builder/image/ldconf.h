/* ld.so.conf, the folders that ldconfig(8) makes ld.so.cache of. The loader itself never reads it. */
#pragma once
#include "image/root.h"

/* The folders in order. There need not be any such file. The caller frees the list. */
int ldconf_read(const struct root *root, struct strlist *ret, struct error *e);
