/* file:///path: a folder of this machine (a disk that somebody mounted, a share from fstab). */
#include "backup/target_kind.h"

static const char *settle(struct target_url *u)
{
	if (u->host || u->user)
		return "a folder of this machine has no host";
	if (!*u->path)
		return "it names no folder";
	char *absolute = xasprintf("/%s", u->path);

	free(u->path);
	u->path = absolute;
	return NULL;
}

const struct target_kind target_file = {
	.scheme = "file",
	.form = "file:///folder",
	.settle = settle,
};
