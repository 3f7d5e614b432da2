/* An image between its selection and its packing: everything that lives as long as that. Made by
 * image_draft() and private to this room. */
#pragma once
#include "image/format.h"
#include "image/image.h"
#include "image/pack.h"
#include "image/select.h"
#include "image/weigh.h"

struct image_draft {
	const struct image_request *request; /* caller's */
	struct report *report; /* caller's */
	struct image_result result; /* what is known of it so far */
	struct timespec phase_begun;
	time_t created; /* what the rescue system is told */
	time_t mtime; /* of every file */
	char *datadir;
	struct profiles profiles;
	struct root root;
	struct kernel kernel;
	struct format_choice choice; /* how that kernel gets its initrd */
	struct tree tree; /* sorted */
	struct tools tools;
	struct modules modules;
	struct selection selection;
	struct weights weights; /* once draft_weigh() was called */
	struct pack_totals totals; /* of what was packed, or would be */
};

/* Fills in the weights, once. */
int draft_weigh(struct image_draft *d, struct error *e);

/* Ends a phase of the build: what passed since the last one ended is its time. */
void draft_end_phase(struct image_draft *d, const char *name);
