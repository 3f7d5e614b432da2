/* The proofs of this machine that lie in the state folder, and what `lifeboat check` has against them:
 *
 *     FOLDER/proofs/YYYYMMDDTHHMMSSZ/proof.json, proof.html     each run of `lifeboat prove`
 *
 * Proofs that were written elsewhere (--output) are not known here. */
#pragma once
#include "backup/set.h"

#include <time.h>

#define PROOFS_FOLDER "proofs"

struct proofs_question {
	const char *folder; /* the state folder */
	const char *host; /* whose proofs count */
	unsigned every; /* hours that a proof may be old; 0: only that the last one did not fail */
	time_t now;
	const char *medium; /* the one that was made last, */
	time_t medium_created; /* and when */
	const struct set_list *sets; /* that there are now; of all hosts */
};

/* Appends a line for everything that is wrong: none, too old, of another medium, of a backup that was not the newest when
 * it was begun, failed. A sample that found nothing is neither a proof nor a failure. */
int proofs_check(const struct proofs_question *q, struct strlist *ret, struct error *e);
