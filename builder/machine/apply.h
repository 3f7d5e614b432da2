/* Running a plan. Every destructive step of Lifeboat goes through here, and only with consent. */
#pragma once
#include "base/report.h"
#include "machine/plan.h"

struct apply_options {
	const char *root; /* where the recovered file systems are mounted meanwhile: /mnt/hd */
	/* Restores the device's stream into the mounted folder, or onto its node when the stream is an image;
	 * supplied by cmd/, which knows sets. */
	int (*restore)(void *user, const struct device *device, const char *folder, struct report *report,
		       struct error *e);
	/* Takes the device's stream in below the folder of its mounted btrfs; NULL: no stream is of that kind. */
	int (*receive)(void *user, const struct device *device, const char *folder, struct report *report,
		       struct error *e);
	void *user;
	const char *key_file; /* for encrypted devices; NULL: the person is asked */
	/* The one gate: called once, before the first destructive step, with the plan that was shown.
	 * 0: go on. Negative: the error is returned and nothing was written. */
	int (*consent)(void *user, const struct plan *plan, struct error *e);
	/* Called when the gate is passed, with 0, and after each step: so many are done. Its own failure is no reason
	 * to stop, except with 0: then nothing was written. NULL: nobody wants to know. */
	int (*done)(void *user, const struct plan *plan, size_t count, struct error *e);
	bool *written; /* set right before the first write: from then on a failure leaves a disk half done */
};

/* Runs all steps in order. Immediately before the first write each target disk is looked at again:
 * another serial, WWN, size or content than planned, or in use, is refused. Steps that are marked as done are not done
 * again, but what they have made is looked at, and mounted again: -ESTALE when it is something else by now,
 * -ENOTRECOVERABLE when it is what was made, but no longer whole. On failure the error names the step; what was mounted
 * is unmounted. */
int plan_apply(const struct plan *plan, const struct apply_options *options, struct report *report,
	       struct error *e);
