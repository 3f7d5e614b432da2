/* What opens encrypted devices must be at hand, and the right one, before anything is written. */
#pragma once
#include "backup/set.h"
#include "machine/model.h"

/* `set`: that of the headers, or NULL. `key_file`: NULL: the person at the terminal is asked, unless `nobody` is there.
 * A header in the set is tried with the key or the passphrase; it is not kept, so a person is asked again later. */
int keys_check(struct set *set, const struct machine *m, const char *key_file, bool nobody,
	       struct report *report, struct error *e);
