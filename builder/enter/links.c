/* Source: systemd's rules.d/60-persistent-storage.rules, on which devices have which links. */
#include "enter/links.h"

#include "base/fs.h"

#include <blkid/blkid.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static int make_link(const char *dev, const char *kind, const char *name, const char *node, struct error *e)
{
	_cleanup_(free) char *folder = xasprintf("%s/disk/%s", dev, kind), *target = NULL, *path = NULL;
	const char *below = str_after(node, "/dev/");
	char encoded[1024];
	int r = mkdir_parents_at(AT_FDCWD, folder, 0755, e);

	if (r < 0 || !below || blkid_encode_string(name, encoded, sizeof(encoded)) != 0)
		return r;
	target = xasprintf("../../%s", below);
	path = xasprintf("%s/%s", folder, encoded);
	if (unlink(path) < 0 && errno != ENOENT)
		return error_errno(e, errno, "remove %s", path);
	return symlink(target, path) < 0 ? error_errno(e, errno, "make %s", path) : 0;
}

int links_make(const char *dev, const struct blocks *blocks, struct error *e)
{
	int r = 0;

	for (size_t i = 0; i < blocks->count; i++) {
		const struct block *b = &blocks->items[i];
		const struct {
			const char *kind, *name;
		} all[] = { { "by-uuid", b->member ? NULL : b->uuid },
			    { "by-label", b->member ? NULL : b->label },
			    { "by-partuuid", b->part_uuid },
			    { "by-partlabel", b->part_label } };

		for (size_t k = 0; r == 0 && k < sizeof(all) / sizeof(all[0]); k++)
			if (all[k].name)
				r = make_link(dev, all[k].kind, all[k].name, b->node, e);
	}
	return r;
}
