/* Memory for what grows with a machine: what is known of each of its files. A little of it is memory like any other. The rest
 * lies in a file below $TMPDIR (or /var/tmp) that has no name and is mapped: the kernel writes out what it has no room for, so
 * that a machine of ten million files and little memory is backed up, too. Where that folder is in memory itself, on a network
 * or on a disk that is nearly full, all of it is memory. */
#pragma once
#include "base/cleanup.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

/* Zero-initialised is empty. What is in it stays where it is until all of it is freed. */
struct spill {
	void *data; /* one after the other; NULL: nothing yet */
	size_t used, mapped, room; /* bytes; room: of addresses that are taken */
	bool has_file;
	int file;
};
/* `len` more bytes, zeroed, right behind what is there. */
void *spill_more(struct spill *s, size_t len);
/* Copies them there. */
char *spill_put(struct spill *s, const void *data, size_t len);
/* Was all that was written out so far what will be read again? Asked for after it was read, before that is relied on: a disk
 * that fails gives back what it likes. What it does not give back at all ends the program with a line: base/unreadable.h. */
int spill_check(const struct spill *s, struct error *e);
void spill_free(struct spill *s);
DEFINE_CLEANUP(spill, struct spill, spill_free)
