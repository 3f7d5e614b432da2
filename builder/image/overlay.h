/* Overlays: folders whose content is laid over the tree as it is. */
#pragma once
#include "image/tools.h"

/* `ours`: the overlay of Lifeboat itself. Its permissions are made plain (0755 or 0644), so that a
 * checkout's umask does not show in the image; of a site's overlay they are kept, and a file that
 * others must not read is added to `secrets`. Programs, libraries and scripts in it get what they need. */
int overlay_add(struct tools *tools, const char *folder, bool ours, struct strlist *secrets, struct error *e);
