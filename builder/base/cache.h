/* Where what can be made again is kept: below $XDG_CACHE_HOME, or ~/.cache. */
#pragma once
#include "base/error.h"

/* The folder lifeboat/NAME there, made when it is missing. The caller frees. */
int cache_folder(const char *name, char **ret, struct error *e);
