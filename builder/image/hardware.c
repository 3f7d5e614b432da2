#include "image/hardware.h"

#include "base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>

enum { max_proc = 4 << 20, max_alias = 65536 };

int hardware_loaded(const struct root *root, struct strlist *ret, struct error *e)
{
	_cleanup_(free) char *text = NULL;
	_cleanup_(strlist) struct strlist newest_first = { 0 };

	if (faccessat(root->fd, "proc/modules", F_OK, 0) < 0)
		return 0;
	int r = read_file_at(root->fd, "proc/modules", max_proc, &text, NULL, e);

	if (r < 0)
		return r;
	for (char *rest = text, *line; (line = strsep(&rest, "\n"));) {
		line[strcspn(line, " ")] = '\0';
		if (*line)
			strlist_add(&newest_first, line);
	}
	for (size_t i = newest_first.count; i-- > 0;)
		strlist_add(ret, newest_first.items[i]);
	return 0;
}

static int add_alias(int fd, struct strlist *ret)
{
	_cleanup_(free) char *text = NULL;
	struct error ignored;

	/* A device that goes away while we look is not there. */
	if (read_file_at(fd, "modalias", max_alias, &text, NULL, &ignored) == 0 && *str_strip(text))
		strlist_add(ret, str_strip(text));
	return 0;
}

/* Two thirds of all folders, in which nothing is that a driver drives (Linux: Documentation/ABI/testing/
 * sysfs-devices-power, sysfs-devices-memory; what is virtual has no modalias). */
static bool may_hold_devices(const char *above, const struct dirent *entry)
{
	static const struct {
		const char *above, *name; /* NULL: any */
	} without[] = { { NULL, "power" },    { "system", "memory" }, { "virtual", "block" },
			{ "virtual", "bdi" }, { "virtual", "mem" },   { "virtual", "tty" },
			{ "virtual", "vc" } };

	if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
		return false;
	for (size_t i = 0; i < sizeof(without) / sizeof(*without); i++)
		if (streq(entry->d_name, without[i].name) &&
		    (!without[i].above || streq(above, without[i].above)))
			return false;
	return true;
}

/* Takes over `fd`. Links are not followed: each device is met once, at its own place. */
static int walk_devices(int fd, const char *shown, struct strlist *ret, struct error *e)
{
	DIR *d = fdopendir(fd);
	int r = 0;

	if (!d) {
		r = error_errno(e, errno, "read folder %s", shown);
		(void)close(fd); /* read side */
		return r;
	}
	for (const struct dirent *entry; r == 0 && (entry = readdir(d));) {
		if (streq(entry->d_name, "modalias"))
			r = add_alias(dirfd(d), ret);
		if (!may_hold_devices(shown, entry))
			continue;
		int below = openat(dirfd(d), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

		if (below >= 0)
			r = walk_devices(below, entry->d_name, ret, e);
	}
	(void)closedir(d); /* read side */
	return r;
}

int hardware_modaliases(const struct root *root, struct strlist *ret, struct error *e)
{
	_cleanup_(strlist) struct strlist all = { 0 };
	int fd = openat(root->fd, "sys/devices", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? 0 : error_errno(e, errno, "open %s/sys/devices", root->path);
	int r = walk_devices(fd, "sys/devices", &all, e);

	if (r < 0)
		return r;
	strlist_sort(&all);
	for (size_t i = 0; i < all.count; i++)
		if (i == 0 || !streq(all.items[i], all.items[i - 1]))
			strlist_add(ret, all.items[i]);
	return 0;
}
