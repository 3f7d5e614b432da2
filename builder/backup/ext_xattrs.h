/* Extended attributes as ext4 keeps them on disk, which is how dump(8) saves them: the area behind an inode (4 bytes of
 * magic, then entries) or an attribute block (32 bytes of header, then entries). Linux's
 * Documentation/filesystems/ext4/attributes.rst; dump marks an area by the magic 0xEA020001, a block has ext4's own.
 * Private to this room. */
#pragma once
#include "base/error.h"

#include <stddef.h>

/* Calls `each` for every attribute, with the name that setxattr(2) takes and its value; ACLs are turned into the form that
 * it takes. -EBADMSG for what is no such area. */
int ext_xattrs_parse(const char *area, size_t len,
		     int (*each)(void *user, const char *name, const void *value, size_t len,
				 struct error *e),
		     void *user, struct error *e);
