/* Programs with their arguments, to be run in order, or to be written down for a person. */
#pragma once
#include "base/str.h"

/* Each is an argv. */
struct commands {
	struct strlist *items;
	size_t count;
};
void commands_free(struct commands *c);
DEFINE_CLEANUP(commands, struct commands, commands_free)
/* Starts another command and returns it. */
struct strlist *commands_add(struct commands *c);
