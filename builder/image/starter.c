#include "image/starter.h"

#include "base/fs.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

/* busybox at the path that starter/init has in its first line. */
static int add_busybox(struct image_draft *d, struct tree *tree, const struct reason *why, struct error *e)
{
	_cleanup_(tools) struct tools tools = { 0 };
	_cleanup_(free) char *wanted = NULL;
	int r = tools_open(&d->root, tree, d->report, &tools, e);

	if (r == 0)
		r = tools_add(&tools, "busybox", why, e);
	if (r == 0)
		return error_text(e, ENOENT, "make the starter: there is no busybox on this machine");
	if (r > 0)
		r = libs_finish(&tools.libs, e);
	if (r == 0)
		r = tree_canonical(tree, "/bin/busybox", &wanted, e);
	if (r < 0 || tree_find(tree, wanted))
		return r;
	for (size_t i = 0; i < tree->count; i++)
		if (streq(entry_name(tree->entries[i]), "busybox")) {
			_cleanup_(free) char *target = xasprintf("/%s", tree->entries[i]->path);

			return tree_add_link(tree, "/bin/busybox", target, why, e);
		}
	return error_text(e, ENOENT, "make the starter: busybox was not packed");
}

static int add_modules(struct image_draft *d, struct tree *tree, const struct reason *why, struct error *e)
{
	_cleanup_(modules) struct modules modules = { 0 };
	const struct strlist *names = &d->choice.modules;
	int r = names->count ? modules_open(&d->root, &d->kernel, tree, d->report, &modules, e) : 0;

	if (r == 0 && names->count)
		r = modules_read(&modules, e);
	for (size_t i = 0; r >= 0 && i < names->count; i++) {
		r = modules_add(&modules, names->items[i], why, e);
		/* Where the configuration is not known there may be another driver. */
		if (r == 0 && d->kernel.config.text)
			return error_text(e, ENOENT, "make the starter: kernel %s has no module %s",
					  d->kernel.version, names->items[i]);
	}
	return r < 0 || !names->count ? r : modules_finish(&modules, why, e);
}

static int add_files(struct image_draft *d, struct tree *tree, const struct reason *why, struct error *e)
{
	static const struct {
		const char *path;
		mode_t mode;
		unsigned major, minor; /* Linux: Documentation/admin-guide/devices.txt */
	} nodes[] = { { "/dev/console", S_IFCHR | 0600, 5, 1 },
		      { "/dev/null", S_IFCHR | 0666, 1, 3 },
		      { "/dev/loop0", S_IFBLK | 0600, 7, 0 } };
	_cleanup_(free) char *init = xasprintf("%s/starter/init", d->datadir);
	_cleanup_(free) char *types = strlist_join(&d->choice.types, " ");
	struct stat st;

	if (stat(init, &st) < 0)
		return error_errno(e, errno, "make the starter: open %s", init);
	int r = tree_add_file(tree, "/init", 0755, init, (uint64_t)st.st_size, why, e);

	if (r == 0)
		r = tree_add_data(tree, "/types", 0644, types, strlen(types), why, e);
	if (r == 0)
		r = tree_add_folder(tree, "/root", 0755, why, e);
	for (size_t i = 0; r == 0 && i < sizeof(nodes) / sizeof(*nodes); i++)
		r = tree_add_device(tree, nodes[i].path, nodes[i].mode,
				    makedev(nodes[i].major, nodes[i].minor), why, e);
	return r;
}

/* A second archive with the image alone. The kernel goes on behind what it has unpacked when zeros lead to
 * the next multiple of four (Linux: init/initramfs.c, unpack_to_rootfs()); lz4's end is four of them. */
static int append_image(struct image_draft *d, const struct tree *image, int fd, const char *shown,
			struct error *e)
{
	static const char zeros[8];
	const struct pack_options plain = { "none", 0, d->mtime };
	struct pack_totals totals;
	off_t end = lseek(fd, 0, SEEK_END);

	if (end < 0)
		return error_errno(e, errno, "write %s", shown);
	int r = write_all(fd, zeros, sizeof(zeros) - (size_t)end % 4);

	if (r < 0)
		return error_errno(e, -r, "write %s", shown);
	return pack_tree(image, &plain, fd, shown, &totals, d->report, e);
}

int starter_pack(struct image_draft *d, int image, int fd, const char *shown, struct error *e)
{
	const struct recovery_conf *c = d->request->conf;
	const struct pack_options options = { c->compress, c->level, d->mtime };
	_cleanup_(tree) struct tree tree = { 0 }, behind = { 0 };
	_cleanup_(free) char *source = xasprintf("/proc/self/fd/%d", image);
	const struct reason *why = tree_reason(&tree, NULL, "starter");
	struct pack_totals totals;
	struct stat st;

	if (fstat(image, &st) < 0)
		return error_errno(e, errno, "write %s", shown);
	int r = add_busybox(d, &tree, why, e);

	if (r == 0)
		r = add_modules(d, &tree, why, e);
	if (r == 0)
		r = add_files(d, &tree, why, e);
	if (r == 0)
		r = tree_add_file(d->choice.image_compressed ? &behind : &tree, "/image", 0644, source,
				  (uint64_t)st.st_size, why, e);
	if (r < 0)
		return r;
	tree_sort(&tree);
	tree_sort(&behind);
	r = pack_tree(&tree, &options, fd, shown, &totals, d->report, e);
	return r == 0 && behind.count ? append_image(d, &behind, fd, shown, e) : r;
}
