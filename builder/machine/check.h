/* Does a described machine make sense: partitions inside their disk and beside each other, logical
 * ones in the extended one, file systems inside their devices, no mount point twice. */
#pragma once
#include "conf/ini.h"
#include "machine/model.h"

/* The first contradiction is the error "FILE:LINE: WHAT; expected WHAT", at the section of the
 * device that is wrong. `ini` is where `m` was read from. */
int machine_check(const struct machine *m, const struct ini *ini, struct error *e);
