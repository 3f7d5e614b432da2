/* Reading this machine's disks into the model. Changes nothing. */
#pragma once
#include "base/report.h"
#include "machine/model.h"

struct survey_options {
	/* A backup keeps what the snapshots of a btrfs share, but for those of the top level; else each may be a full copy, for
	 * which there may be no room. */
	bool sends_snapshots;
	const struct strlist *leave_out; /* recovery.conf's; see belonging.h */
};
/* Surveys the running system. What it cannot rebuild is an error that says so, while the machine
 * still lives; `report` gets the warnings. Needs root: superblocks are read. */
int survey(struct machine *ret, const struct survey_options *options, struct report *report, struct error *e);

/* Only the disks of this machine and what is on them (rescue system: possible targets). */
int survey_disks(struct machine *ret, struct report *report, struct error *e);

/* All disks with their layers, as they are running, and what all of it holds, described as survey() does: for what a
 * recovery has made. What cannot be described is warned about. No streams; of a BIOS machine's boot loader only which disks
 * carry one. */
int survey_present(struct machine *ret, struct report *report, struct error *e);
