/* What a recovery writes itself, so that it is not what the backup had, and must not be. */
#pragma once
#include "machine/model.h"

#include <stdbool.h>

/* Why this attribute of the file (by its whole path) may differ, in words; NULL: it must not. `listed`: the backup has
 * that file. */
const char *excuse(const struct machine *m, const char *path, const char *attribute, bool listed);
