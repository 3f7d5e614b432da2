/* The ways into and out of the rescue system that need keys: SSH and wireless networks. What recovery.conf says of
 * them goes into an image that has the program for it. */
#pragma once
#include "conf/recovery.h"
#include "image/root.h"

/* Adds the keys that are let in by SSH, the server's own where the configuration wants those of the machine, and the
 * configuration of wireless networks. Paths of files with secrets are added to `secrets`. A server that would
 * let nobody in, or a radio without a network, is an error. */
int access_add(const struct recovery_conf *conf, const struct root *root, struct tree *tree,
	       struct strlist *secrets, struct error *e);
