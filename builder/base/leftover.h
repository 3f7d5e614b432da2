/* What a signal that ends the program must not leave behind. Temporary files and folders are noted here for as
 * long as they are there; SIGINT, SIGTERM and SIGHUP remove them and then end the program as they always do.
 * Signals that somebody else handles, blocks or ignores stay as they are. */
#pragma once

/* `dirfd` (or AT_FDCWD) and `name` stay the caller's and as they are until leftover_forget(). Returns a number for it,
 * or -1 when there is no room for more: then nothing is removed. */
int leftover_note(int dirfd, const char *name);
/* -1 is fine. */
void leftover_forget(int note);
/* Removes what is noted, for who ends the program from a signal handler of his own. Only calls what such a one may. */
void leftover_remove(void);
