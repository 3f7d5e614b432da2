/* Snapshots of LVM's volumes, for machine/snapshot.h alone. */
#pragma once
#include "base/error.h"
#include "base/report.h"
#include "machine/model.h"

/* Makes one of each volume of the list, with numbers from 1, and sets `made[i]` to its node (the caller frees); NULL where there
 * can be none, which is said. */
void lvm_snapshots_make(struct device *const volumes[], size_t count, char *made[], struct report *report);
/* An error when one of them ran full. */
int lvm_snapshots_check(struct error *e);
/* Removes all that carry the tag; it may take a while until those who read them are gone. */
int lvm_snapshots_remove(struct error *e);
