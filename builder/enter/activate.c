#include "enter/activate.h"

#include "base/block.h"
#include "base/fs.h"
#include "base/proc.h"
#include "enter/devices.h"
#include "enter/interrupt.h"
#include "machine/btrfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>

enum { max_rounds = 8 };

/* There is no udev in a rescue system that would make the nodes. */
static const char *const environment[] = { "DM_DISABLE_UDEV=1", NULL };

static bool has_tool(const char *name)
{
	_cleanup_(free) char *path = proc_find_program(name);

	return path != NULL;
}

static bool is_type(const struct block *b, const char *type)
{
	return b->type && streq(b->type, type) && !b->busy;
}

static bool any(const struct blocks *blocks, const char *type)
{
	for (size_t i = 0; i < blocks->count; i++)
		if (is_type(&blocks->items[i], type))
			return true;
	return false;
}

static void run(const char *const argv[], bool interactive, struct report *report)
{
	/* the environment only where there is no udev: elsewhere it would be in udev's way */
	const struct proc_options options = { .interactive = interactive,
					      .env = access("/run/udev/control", F_OK) < 0 ? environment
											   : NULL };
	struct error e;

	if (proc_run(argv, &options, &e) < 0)
		report_warn(report, "%s", e.text);
}

static void start_arrays(const struct blocks *blocks, struct report *report)
{
	static const char *const argv[] = { "mdadm", "--assemble", "--scan", "--run", NULL };

	if (!any(blocks, "linux_raid_member"))
		return;
	if (has_tool("mdadm"))
		run(argv, false, report);
	else
		report_warn(report, "there is a RAID array here, and no mdadm that could start it");
}

static void start_volumes(const struct blocks *blocks, struct report *report)
{
	static const char *const argv[] = { "lvm", "vgchange", "--activate", "y", "--sysinit", NULL };

	if (!any(blocks, "LVM2_member"))
		return;
	if (has_tool("lvm"))
		run(argv, false, report);
	else
		report_warn(report, "there are LVM volumes here, and no lvm that could start them");
}

struct luks {
	const char *key;
	bool interactive;
	struct strlist tried; /* nodes: nobody is asked twice */
};

static void open_luks(const struct block *b, struct luks *l, struct report *report)
{
	_cleanup_(free) char *name = xasprintf("luks-%s", b->uuid ? b->uuid : strrchr(b->node, '/') + 1);
	const char *const with_key[] = { "cryptsetup", "open", "--key-file", l->key, b->node, name, NULL };
	const char *const asking[] = { "cryptsetup", "open", b->node, name, NULL };

	strlist_add(&l->tried, b->node);
	if (!has_tool("cryptsetup")) {
		report_warn(report, "%s is encrypted, and there is no cryptsetup that could open it",
			    b->node);
	} else if (l->key) {
		run(with_key, false, report);
	} else if (l->interactive) {
		report_info(report, "%s is encrypted", b->node);
		run(asking, true, report);
	} else {
		report_warn(report, "%s is encrypted and stays closed: nobody is there who could be asked",
			    b->node);
	}
}

static void open_all_luks(const struct blocks *blocks, struct luks *l, struct report *report)
{
	for (size_t i = 0; i < blocks->count && !interrupted(); i++)
		if (is_type(&blocks->items[i], "crypto_LUKS") &&
		    !strlist_has(&l->tried, blocks->items[i].node))
			open_luks(&blocks->items[i], l, report);
}

/* One of several devices can be mounted only once the kernel knows all of them, of which udev tells it elsewhere. */
static void start_btrfs(const struct blocks *blocks, struct report *report)
{
	for (size_t i = 0; i < blocks->count; i++) {
		const struct block *b = &blocks->items[i];
		_cleanup_(strlist) struct strlist nodes = { 0 };
		struct error e;

		for (size_t k = 0; is_type(b, "btrfs") && b->uuid && k < blocks->count; k++) {
			const struct block *other = &blocks->items[k];

			if (!is_type(other, "btrfs") || !other->uuid || !streq(b->uuid, other->uuid))
				continue;
			if (k < i)
				break; /* told with that one */
			strlist_add(&nodes, other->node);
		}
		if (nodes.count > 1 && btrfs_register(&nodes, &e) < 0)
			report_warn(report, "%s", e.text);
	}
}

/* The md and device mapper devices that are there, by their kernel's names. */
static int list_built(struct strlist *ret, struct error *e)
{
	DIR *d = opendir("/sys/block");

	if (!d)
		return error_errno(e, errno, "read folder /sys/block");
	for (const struct dirent *entry; (entry = readdir(d));)
		if (str_after(entry->d_name, "dm-") || str_after(entry->d_name, "md"))
			strlist_add(ret, entry->d_name);
	(void)closedir(d); /* read side */
	return 0;
}

/* Built on each other in any order: again and again until nothing comes any more. */
static int start_all(const char *only, struct luks *luks, struct report *report, struct error *e)
{
	size_t before = 0;

	for (int round = 0; round < max_rounds; round++) {
		_cleanup_(strlist) struct strlist built = { 0 };
		_cleanup_(blocks) struct blocks all = { 0 }, wanted = { 0 };
		int r = interrupt_check(e);

		if (r == 0)
			r = list_built(&built, e);
		if (r < 0)
			return r;
		if (round > 0 && built.count == before)
			return 0;
		before = built.count;
		r = blocks_find(NULL, &all, e);
		if (r == 0)
			r = blocks_find(only && access(only, F_OK) == 0 ? only : NULL, &wanted,
					e); /* it may come */
		if (r < 0)
			return r;
		start_arrays(&all, report);
		open_all_luks(&wanted, luks, report);
		if (!interrupted())
			start_volumes(&all, report);
	}
	return 0;
}

static int tell_all(struct report *report, struct error *e)
{
	_cleanup_(blocks) struct blocks all = { 0 };
	int r = blocks_find(NULL, &all, e);

	if (r == 0)
		start_btrfs(&all, report);
	return r;
}

int activate(struct activated *ret, const char *only, const char *key, bool interactive,
	     struct report *report, struct error *e)
{
	_cleanup_(strlist) struct strlist before = { 0 }, now = { 0 };
	struct luks luks = { .key = key, .interactive = interactive };
	int r = list_built(&before, e);

	if (r == 0)
		r = start_all(only, &luks, report, e);
	if (r == 0)
		r = tell_all(report, e);
	strlist_free(&luks.tried);
	/* also what came before it failed has to be stopped */
	int listed = list_built(&now, r == 0 ? e : NULL);

	if (r == 0)
		r = listed;
	for (size_t i = 0; i < now.count; i++)
		if (!strlist_has(&before, now.items[i]))
			strlist_add(&ret->nodes, now.items[i]);
	return r;
}

/* One device, from the top down: nothing that others hold. */
static int stop(const char *name, struct error *e)
{
	_cleanup_(free) char *attribute = xasprintf("/sys/block/%s/dm/uuid", name);
	_cleanup_(free) char *node = xasprintf("/dev/%s", name), *uuid = NULL;
	struct error ignored; /* arrays have none */
	bool mapped = read_file_at(AT_FDCWD, attribute, 4096, &uuid, NULL, &ignored) == 0;
	const char *const array[] = { "mdadm", "--stop", node, NULL };
	const char *const volume[] = { "lvm", "lvchange", "--activate", "n", node, NULL };
	const char *const other[] = { "dmsetup", "remove", "--retry", node, NULL };
	const struct proc_options options = { .env = access("/run/udev/control", F_OK) < 0 ? environment
											   : NULL };

	if (!mapped)
		return proc_run(array, &options, e);
	if (str_after(uuid, "LVM-")) {
		_cleanup_(free) char *path = xasprintf("/sys/block/%s/dm/name", name), *text = NULL;

		if (read_file_at(AT_FDCWD, path, 4096, &text, NULL, &ignored) == 0) {
			free(node);
			node = xasprintf("/dev/mapper/%s", str_strip(text));
		}
		const char *const by_name[] = { volume[0], volume[1], volume[2], volume[3], node, NULL };

		if (proc_run(by_name, &options, &ignored) == 0)
			return 0; /* a pool's inner volumes go with it; else as any other device */
	}
	return proc_run(other, &options, e);
}

int deactivate(struct activated *a, struct error *e)
{
	bool progress = true;
	int first = 0;

	while (progress) {
		progress = false;
		for (size_t i = a->nodes.count; i-- > 0;) {
			_cleanup_(free) char *folder = xasprintf("/sys/block/%s", a->nodes.items[i]);
			_cleanup_(free) char *holder = block_holder(folder);

			if (access(folder, F_OK) < 0 || holder)
				continue;
			if (stop(a->nodes.items[i], e) == 0)
				progress = true;
		}
	}
	for (size_t i = 0; i < a->nodes.count && first == 0; i++) {
		_cleanup_(free) char *folder = xasprintf("/sys/block/%s", a->nodes.items[i]);

		if (access(folder, F_OK) == 0)
			first = error_text(e, EBUSY, "stop /dev/%s: it is still in use", a->nodes.items[i]);
	}
	strlist_free(&a->nodes);
	return first;
}
