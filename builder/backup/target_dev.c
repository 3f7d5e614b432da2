/* dev:///dev/X: a raw device (or a file in its place), written like a tape. */
#include "backup/target_kind.h"

static const char *settle(struct target_url *u)
{
	if (u->host || u->user)
		return "a device of this machine has no host";
	if (!*u->path)
		return "it names no device";
	char *absolute = xasprintf("/%s", u->path);

	free(u->path);
	u->path = absolute;
	return NULL;
}

const struct target_kind target_dev = {
	.scheme = "dev",
	.form = "dev:///dev/DEVICE",
	.settle = settle,
	.is_device = true,
};
