/* Independent pieces of work on all cores. Which core did what never shows in the result: every piece
 * has a place of its own to write to, and whoever asked reads the places in order. */
#pragma once
#include <stddef.h>

/* How many threads parallel_run() uses at most: the cores that this process may run on, but never more
 * than PARALLEL_MAX. */
enum { PARALLEL_MAX = 8 };
unsigned parallel_threads(void);

/* Calls `work` for each of 0 … count-1, in any order, from several threads, the caller's among them.
 * `thread` is below parallel_threads(): for what each thread keeps to itself. Returns when all are done.
 * Where no further thread can be started, those that there are do it all. */
void parallel_run(size_t count, void (*work)(void *user, size_t index, unsigned thread), void *user);
