/* Is what a program restored what the set lists: for methods whose streams cannot be read, where nothing but their program
 * could tell. All but the content of files, which has a checksum on its way. Private to this room. */
#pragma once
#include "backup/set.h"

/* A path that is not as it was listed is an error, unless it changed while it was saved (NAME.changed); what is there and not listed
 * is a warning. */
int restored_check(struct set *s, const char *name, const char *folder, struct report *report,
		   struct error *e);
