/* RECOVER.txt: how to bring a machine back with nothing of ours. */
#pragma once
#include "base/str.h"
#include "machine/model.h"

/* The page for the set `shown` (HOST/NAME), whose files so far are `files`: a POSIX shell script that reads
 * as prose, with the commands for these very disks, file systems and streams. `chain` gives the
 * sets that a stream has to be restored from, the oldest first, as prefixes of their files ("../SET/"; "": this
 * one); NULL: each stream is whole. `exclude`: patterns of what was left out; NULL: nothing was. */
void by_hand_format(const struct machine *m, const char *shown, const struct strlist *files,
		    const struct strlist *exclude,
		    void (*chain)(void *user, const char *stream, struct strlist *ret), void *user,
		    struct strbuf *ret);
