/* Where a backup goes: looked at before anything is written there. */
#pragma once
#include "backup/target.h"
#include "base/report.h"
#include "machine/model.h"

/* A device is started anew only when a person agrees to lose what is on it, or `yes`: nobody is asked. `text`: the targets as
 * they were named. */
int backup_agree(const char *text, bool yes, struct error *e);
/* None of them lies on what is backed up, and `total` bytes fit (0: whatever there will be): in one of several at least. */
int backup_check_targets(const struct machine *m, const struct target *targets, uint64_t total,
			 struct report *report, struct error *e);
/* Disks that are there for the backups are no part of the machine: recovery would want others in their place. */
void backup_leave_out(struct machine *m, const struct target *targets, struct report *report);
