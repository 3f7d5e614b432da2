/* Files of one content are in the image once, as hard links to each other. */
#pragma once
#include "image/tree.h"

/* Sets `same_as` and `links` of the entries of a sorted tree. Shared are files that are one file (the same
 * inode) on this machine, and, among programs, libraries, modules and firmware, those that only have the same
 * content and mode. Settings are not: somebody may edit one of them in the rescue system and not mean the
 * other. Fails when a file cannot be read. */
int tree_share_duplicates(struct tree *t, struct error *e);
