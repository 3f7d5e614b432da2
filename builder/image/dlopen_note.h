/* "dlopen() Metadata for ELF Files" (systemd.io/ELF_DLOPEN_METADATA, uapi-group.org): what a program or library
 * says of the libraries that it opens while it runs. */
#pragma once
#include "base/str.h"

#include <stdbool.h>

enum dlopen_priority {
	DLOPEN_REQUIRED, /* it does not work without */
	DLOPEN_RECOMMENDED, /* in most cases it should be there; also when nothing is said */
	DLOPEN_SUGGESTED, /* for full-featured installations only */
};

struct dlopen_note {
	struct strlist sonames; /* alternatives, the best first; at least one */
	char *what; /* what it is for, in the words of the note */
	enum dlopen_priority priority;
};
struct dlopen_notes {
	struct dlopen_note *list;
	size_t count, capacity;
};
void dlopen_notes_free(struct dlopen_notes *n);
DEFINE_CLEANUP(dlopen_notes, struct dlopen_notes, dlopen_notes_free)

/* Adds what a note's text (elf_info.dlopen_notes) says. false: it is not of that format; what was understood
 * before is kept. */
bool dlopen_notes_parse(const char *text, struct dlopen_notes *ret);
