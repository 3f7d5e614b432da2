/* Sources: Documentation/ABI/testing/sysfs-block-dm of Linux; its include/uapi/linux/dm-ioctl.h (DM_DEV_REMOVE) and
 * include/uapi/linux/raid/md_u.h (STOP_ARRAY). No program is needed, as the image need not carry those of a kind that
 * the machine has not. */
#include "machine/stack.h"

#include "base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <linux/major.h>
#include <linux/raid/md_u.h>
#include <sys/ioctl.h>

struct walk {
	const char *sys;
	stack_use use;
	const void *user;
	struct presence *ret;
};

/* The entries of /sys/class/block/NAME/FOLDER, or of NAME itself when it is "". */
static void list(const struct walk *w, const char *name, const char *folder, struct strlist *ret)
{
	_cleanup_(free) char *path = xasprintf("%s/class/block/%s/%s", w->sys, name, folder);
	DIR *d = opendir(path);

	for (const struct dirent *entry; d && (entry = readdir(d));)
		if (*entry->d_name != '.')
			strlist_add(ret, entry->d_name);
	if (d)
		(void)closedir(d); /* read side */
	strlist_sort(ret);
}

/* Without its newline; NULL when it is not there. The caller frees. */
static char *attribute(const char *sys, const char *name, const char *file)
{
	_cleanup_(free) char *path = xasprintf("%s/class/block/%s/%s", sys, name, file);
	char *text = NULL;

	if (read_file_at(AT_FDCWD, path, 4096, &text, NULL, NULL) < 0)
		return NULL;
	text[strcspn(text, "\n")] = '\0';
	return text;
}

static bool has_attribute(const struct walk *w, const char *name, const char *file)
{
	_cleanup_(free) char *text = attribute(w->sys, name, file);

	return text != NULL;
}

static bool can_be_stopped(const struct walk *w, const char *name)
{
	static const char *const kinds[] = { "LVM-", "CRYPT-", "part" }; /* kpartx's partitions */
	_cleanup_(free) char *uuid = attribute(w->sys, name, "dm/uuid");

	if (has_attribute(w, name, "md/level"))
		return true;
	for (size_t i = 0; uuid && i < sizeof(kinds) / sizeof(*kinds); i++)
		if (str_after(uuid, kinds[i]))
			return true;
	return false;
}

/* "vg0-root (dm-3) of sdb1 and sdc1" */
static void tell(const struct walk *w, const char *name)
{
	_cleanup_(free) char *mapped = attribute(w->sys, name, "dm/name");
	_cleanup_(strlist) struct strlist below = { 0 };

	list(w, name, "slaves", &below);
	_cleanup_(free) char *on = strlist_join(&below, " and ");
	char *shown = mapped ? xasprintf("%s (%s) of %s", mapped, name, on) : xasprintf("%s of %s", name, on);

	strlist_take(&w->ret->stop_shown, str_printable(shown));
}

static char *walk_up(const struct walk *w, const char *name);

/* One that lies on what we came from, its partitions, and all that lies on them. */
static char *visit(const struct walk *w, const char *name)
{
	_cleanup_(strlist) struct strlist inside = { 0 };
	char *why = NULL;

	if (strlist_has(&w->ret->stop, name))
		return NULL;
	list(w, name, "", &inside);
	for (size_t i = 0; i < inside.count && !why; i++)
		if (has_attribute(w, inside.items[i], "partition") && str_after(inside.items[i], name)) {
			why = w->use(w->user, inside.items[i]);
			if (!why)
				why = walk_up(w, inside.items[i]);
		}
	if (!why)
		why = walk_up(w, name);
	if (!why)
		why = w->use(w->user, name);
	if (why)
		return why;
	strlist_add(&w->ret->stop, name);
	tell(w, name);
	return NULL;
}

static char *walk_up(const struct walk *w, const char *name)
{
	_cleanup_(strlist) struct strlist holders = { 0 };
	char *why = NULL;

	list(w, name, "holders", &holders);
	for (size_t i = 0; i < holders.count && !why; i++) {
		const char *above = holders.items[i];

		why = can_be_stopped(w, above) ? visit(w, above)
					       : xasprintf("%s is a part of %s", name, above);
	}
	return why;
}

char *stack_find(const char *sys, const char *name, stack_use use, const void *user, struct presence *ret)
{
	const struct walk w = { .sys = sys, .use = use, .user = user, .ret = ret };

	return walk_up(&w, name);
}

static int stop_mapped(const char *mapped, struct error *e)
{
	_cleanup_(fd) int fd = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);
	struct dm_ioctl io = { .version = { DM_VERSION_MAJOR, 0, 0 },
			       .data_size = sizeof(io),
			       .data_start = sizeof(io) };
	_cleanup_(free) char *node = xasprintf("/dev/mapper/%s", mapped);

	if (strlen(mapped) >= sizeof(io.name))
		return error_text(e, ENAMETOOLONG, "stop %s: its name is too long", mapped);
	memcpy(io.name, mapped, strlen(mapped) + 1);
	if (fd < 0)
		return error_errno(e, errno, "open /dev/mapper/control");
	if (ioctl(fd, DM_DEV_REMOVE, &io) < 0)
		return error_errno(e, errno, "stop %s", mapped);
	(void)unlink(node); /* where no udev does so; it is only a name */
	return 0;
}

int stack_stop(const char *name, struct error *e)
{
	_cleanup_(free) char *mapped = attribute("/sys", name, "dm/name");
	_cleanup_(free) char *node = xasprintf("/dev/%s", name);

	if (mapped)
		return stop_mapped(mapped, e);
	_cleanup_(fd) int fd = open(node, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return error_errno(e, errno, "open %s", node);
	return ioctl(fd, STOP_ARRAY, NULL) < 0 ? error_errno(e, errno, "stop the array %s", node) : 0;
}
