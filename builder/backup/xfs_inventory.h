/* The inventory of xfsdump(8), by which it knows what a level goes on from: a few small files, which lie with the set (NAME.inventory)
 * and not on the machine, so that neither another program's dumps nor another target mislead it. As a text of
 *
 *     NAME SIZE NEWLINE, and SIZE bytes
 *
 * for each file. Private to this room. */
#pragma once
#include "base/error.h"
#include "base/str.h"

#define INVENTORY_METHOD "inventory"

/* The files of the folder; none when it is not there. */
int xfs_inventory_pack(const char *folder, struct strbuf *ret, struct error *e);
/* Makes them in the folder, which is made. */
int xfs_inventory_unpack(const char *text, size_t len, const char *folder, struct error *e);
