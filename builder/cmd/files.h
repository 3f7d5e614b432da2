/* lifeboat recover --files: single files of a set. */
#pragma once
#include "cmd/recovery.h"

struct files_options {
	bool list; /* only say what is there */
	bool yes; /* do not ask */
	const char *into; /* a folder; NULL: in place */
	char **patterns; /* NULL-terminated; none: everything */
};
/* Returns the exit code. */
int cmd_files(struct cmd *c, struct recovery *r, const struct files_options *o);
