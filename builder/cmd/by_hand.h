/* RECOVER.txt: how to bring a machine back with nothing of ours. */
#pragma once
#include "base/str.h"
#include "machine/model.h"

/* The page for the set `shown` (HOST/NAME), whose files so far are `files`: a POSIX shell script that reads
 * as prose, with the commands for these very disks, file systems and streams. */
void by_hand_format(const struct machine *m, const char *shown, const struct strlist *files,
		    struct strbuf *ret);
