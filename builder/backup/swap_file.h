/* Swap files. Private to this room. */
#pragma once
#include "base/error.h"

#include <stdint.h>
#include <sys/types.h>

/* Gives the restored file, if it is one, blocks of its own where it has holes. Its time stays. */
int swap_file_fill(const char *path, mode_t mode, int64_t size, struct error *e);
