/* From profiles to a tree: every item of every profile is looked up on this machine. */
#pragma once
#include "conf/profile.h"
#include "image/modules.h"
#include "image/tools.h"

struct selection {
	const struct profiles *profiles; /* caller's */
	const struct root *root; /* caller's */
	struct tools *tools; /* caller's */
	struct modules *modules; /* caller's */
	struct tree *tree; /* caller's */
	struct report *report; /* caller's */
	struct strlist loaded; /* filled: this machine's modules in load order */
	struct strlist aliases; /* filled: what its devices say that they are */
};
void selection_free(struct selection *s);
DEFINE_CLEANUP(selection, struct selection, selection_free)

/* In this order: links, so that they go before what the machine has; then tools and files; then modules, for which
 * select_machine() has looked at this machine, if a profile asks what that needs. It leaves the tree alone: another
 * thread may fill that meanwhile. */
int select_links(struct selection *s, struct error *e);
int select_userland(struct selection *s, struct error *e);
int select_machine(struct selection *s, struct error *e);
int select_modules(struct selection *s, struct error *e);
