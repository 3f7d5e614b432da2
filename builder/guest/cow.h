/* The copy-on-write files of User-Mode Linux. */
#pragma once
#include "base/error.h"

/* Does `cow`, if it is there, belong to the disk `base` as it is now? The guest itself says little more than that it
 * finds no root when the disk has changed under the file. */
int cow_check(const char *cow, const char *base, struct error *e);
