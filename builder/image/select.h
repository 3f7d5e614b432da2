/* From profiles to a tree: every item of every profile is looked up on this machine. */
#pragma once
#include "conf/profile.h"
#include "image/modules.h"
#include "image/tools.h"

struct selection {
	const struct profiles *profiles; /* caller's */
	struct tools *tools; /* caller's */
	struct modules *modules; /* caller's */
	struct tree *tree; /* caller's */
	struct report *report; /* caller's */
	struct strlist loaded; /* filled: this machine's modules in load order */
};
void selection_free(struct selection *s);
DEFINE_CLEANUP(selection, struct selection, selection_free)

/* Links first, so that they go before what the machine has; then tools and files. */
int select_userland(struct selection *s, struct error *e);
int select_modules(struct selection *s, struct error *e);
