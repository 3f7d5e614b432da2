/* Is what a program restored what the set lists? Private to this room. */
#pragma once
#include "backup/set.h"

/* For methods whose streams cannot be read, where nothing but their program could tell: all but the content of files, which has
 * a checksum on its way. A path that is not as it was listed is an error, unless it changed while it was saved (NAME.changed); what is there and not listed
 * is a warning. */
int restored_check(struct set *s, const char *name, const char *folder, struct report *report,
		   struct error *e);

/* For a program that may lose files and say nothing of it: each file that was listed is there, and as long. One that is not is an
 * error, unless it changed while it was saved. */
int restored_check_files(struct set *s, const char *name, const char *folder, struct error *e);
