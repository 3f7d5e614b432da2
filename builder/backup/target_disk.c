/* disk://UUID[/folder]: a file system of this machine by its UUID, such as that of a USB disk, mounted where only this process
 * sees it. */
#include "backup/target_kind.h"

#include <blkid.h>
#include <errno.h>
#include <sys/mount.h>
#include <sys/stat.h>

static const char *settle(struct target_url *u)
{
	if (!u->host)
		return "it names no UUID";
	if (u->user || u->port)
		return "a disk has neither user nor port";
	u->share = xstrdup(u->host);
	return NULL;
}

static void cleanup_cache(blkid_cache *cache)
{
	if (*cache)
		blkid_put_cache(*cache); /* nothing is written: its file is /dev/null */
}

/* The one device with that UUID, and the type of its file system. The caller frees both. */
static int find(const struct target_url *u, char **ret_node, char **ret_type, struct error *e)
{
	_cleanup_(cache) blkid_cache cache = NULL;
	_cleanup_(free) char *node = NULL, *type = NULL;
	blkid_dev dev;

	if (blkid_get_cache(&cache, "/dev/null") < 0 || blkid_probe_all(cache) < 0)
		return error_text(e, EIO, "open disk://%s: libblkid cannot look for it", u->host);
	blkid_dev_iterate all = blkid_dev_iterate_begin(cache);

	(void)blkid_dev_set_search(all, "UUID", u->host); /* its words are right */
	while (blkid_dev_next(all, &dev) == 0) {
		dev = blkid_verify(cache, dev);
		if (!dev)
			continue;
		if (node) {
			int r = error_text(e, ENOTUNIQ, "open disk://%s: %s and %s both have this UUID",
					   u->host, node, blkid_dev_devname(dev));

			blkid_dev_iterate_end(all);
			return r;
		}
		node = xstrdup(blkid_dev_devname(dev));
		type = blkid_get_tag_value(cache, "TYPE", node);
	}
	blkid_dev_iterate_end(all);
	if (!node)
		return error_text(e, ENOENT, "open disk://%s: no disk here has this UUID", u->host);
	if (!type)
		return error_text(e, EINVAL, "open disk://%s: %s holds no file system", u->host, node);
	*ret_node = TAKE_PTR(node);
	*ret_type = TAKE_PTR(type);
	return 0;
}

static int mount_disk(const struct target_url *u, const struct target_options *o, const char *source,
		      const char *folder, struct error *e)
{
	const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
	_cleanup_(free) char *node = NULL, *type = NULL;
	int r = find(u, &node, &type, e);

	(void)source; /* the UUID */
	if (r < 0)
		return r;
	const char *driver = streq(type, "ntfs") ? "ntfs3" : type;

	r = mount(node, folder, driver, flags | (o->write ? 0 : MS_RDONLY), NULL);
	/* It is mounted for writing elsewhere: then it is, here as well, and only this mount is read-only. */
	if (r < 0 && errno == EBUSY && !o->write) {
		r = mount(node, folder, driver, flags, NULL);
		if (r == 0)
			r = mount(NULL, folder, NULL, flags | MS_REMOUNT | MS_BIND | MS_RDONLY, NULL);
	}
	return r < 0 ? error_errno(e, errno, "open disk://%s: mount %s (%s)", u->host, node, type) : 0;
}

static int disk_number(const struct target_url *u, dev_t *ret, struct error *e)
{
	_cleanup_(free) char *node = NULL, *type = NULL;
	struct stat st;
	int r = find(u, &node, &type, e);

	if (r == 0 && stat(node, &st) < 0)
		r = error_errno(e, errno, "look at %s", node);
	if (r == 0)
		*ret = st.st_rdev;
	return r;
}

const struct target_kind target_disk = {
	.scheme = "disk",
	.form = "disk://UUID[/folder]",
	.settle = settle,
	.mount = mount_disk,
	.disk = disk_number,
};
