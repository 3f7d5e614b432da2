/* A guest's cable to a bridge of this machine: an interface that lives as long as somebody holds its descriptor, and that
 * takes part in the bridge. Nothing else of the network's settings is changed, and nothing stays. */
#pragma once
#include "base/error.h"

/* `*ret_fd`: for the guest, inherited by it (Linux: Documentation/networking/tuntap.rst, linux/sockios.h). */
int bridge_open(const char *bridge, int *ret_fd, struct error *e);
