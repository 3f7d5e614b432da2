/* The extended attributes (ACLs and capabilities among them) that a method drops, as a stream of their own in
 * the format of getfattr(1) --dump, so that `setfattr -h --restore=-` puts them back by hand:
 *
 *     # file: PATH
 *     NAME=0xHEX
 *     (an empty line)
 *
 * PATH is relative, "." for the file system's root; bytes that would end a line, and backslashes, are \OOO.
 *
 * dump(8) 0.4b47 saves those in the inode or those in its attribute block, never both: with two attributes that
 * do not fit into the inode together, some are lost without a word. Listed is therefore every file with more
 * than one. Private to this room. */
#pragma once
#include "backup/set.h"

#include <stdbool.h>

#define XATTRS_METHOD "xattrs"

/* Adds the record of NAME below `dirfd`, when it needs one. `path`: what it is called in the record. One that
 * goes away meanwhile is fine. */
int xattrs_list(struct strbuf *records, int dirfd, const char *name, const char *path, struct error *e);

/* The digest that a listing holds (listing.h, LISTING_XATTRS bytes). `*ret_any`: it has attributes at all. One that goes
 * away meanwhile has none. */
int xattrs_digest(int dirfd, const char *name, const char *path, bool *ret_any, unsigned char *ret,
		  struct error *e);

/* The records as the stream NAME.xattrs; none when there are none. */
int xattrs_save(struct set_writer *w, const char *name, const struct strbuf *records, struct error *e);

/* Puts those back for which `where` knows a path below the folder; NULL: not this one. */
int xattrs_restore_some(struct set *s, const char *name, const char *folder,
			const char *(*where)(void *user, const char *path), void *user, struct error *e);

/* Puts them back below `folder`. A set without such a stream is fine, and so is a file that is not there. */
int xattrs_restore(struct set *s, const char *name, const char *folder, struct error *e);
