#include "image/hardware.h"

#include "base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>

enum { max_table = 4 << 20, max_attribute = 4096 };

/* Reads a file of the root into `*ret`; "" when there is none. */
static int read_table(const struct root *root, const char *path, char **ret, struct error *e)
{
	if (faccessat(root->fd, path, F_OK, 0) < 0) {
		*ret = xstrdup("");
		return 0;
	}
	return read_file_at(root->fd, path, max_table, ret, NULL, e);
}

static bool is_removable(const char *folder)
{
	return str_after(folder, "/media/") || str_after(folder, "/run/media/") || str_after(folder, "/mnt/");
}

/* fstab(5) and /proc/mounts alike: device, folder, type, options. */
static void take_mounts(char *text, struct strlist *ret)
{
	for (char *rest = text, *line; (line = strsep(&rest, "\n"));) {
		_cleanup_(strlist) struct strlist words = { 0 };

		line[strcspn(line, "#")] = '\0';
		strlist_add_words(&words, line);
		if (words.count < 4)
			continue;
		const char *device = words.items[0], *folder = words.items[1], *options = words.items[3];
		bool on_disk = (str_after(device, "/dev/") && !str_after(device, "/dev/loop")) ||
			       strchr(device, '=');

		if (on_disk && !is_removable(folder) && !strstr(options, "noauto"))
			strlist_add_once(ret, words.items[2]);
	}
}

/* /proc/swaps: a line of headings, then one for each. */
static void take_swaps(char *text, struct strlist *ret)
{
	for (char *rest = text, *line; (line = strsep(&rest, "\n"));)
		if (str_after(line, "/dev/") && !str_after(line, "/dev/zram") && strstr(line, "partition"))
			strlist_add_once(ret, "swap");
}

/* What a block device is made of, by sysfs. Device mapper's UUIDs begin with who made them: "LVM-" of lvm,
 * whose pools end in "-tpool", and "CRYPT-LUKS" of cryptsetup. */
static void take_volume(int fd, const char *name, struct strlist *ret)
{
	_cleanup_(free) char *path = xasprintf("%s/dm/uuid", name), *md = xasprintf("%s/md", name);
	_cleanup_(free) char *text = NULL;
	struct error ignored; /* a device that goes away while we look is not there */

	if (faccessat(fd, md, F_OK, 0) == 0)
		strlist_add_once(ret, "raid");
	if (read_file_at(fd, path, max_attribute, &text, NULL, &ignored) < 0)
		return;
	const char *uuid = str_strip(text);

	if (str_after(uuid, "CRYPT-LUKS"))
		strlist_add_once(ret, "luks");
	if (str_after(uuid, "LVM-"))
		strlist_add_once(ret, "lvm");
	if (str_after(uuid, "LVM-") && str_ends(uuid, "-tpool"))
		strlist_add_once(ret, "lvm thin pool");
}

static int take_volumes(const struct root *root, struct strlist *ret, struct error *e)
{
	int fd = openat(root->fd, "sys/block", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (!d)
		return error_errno(e, errno, "read folder %s/sys/block", root->path);
	for (const struct dirent *entry; (entry = readdir(d));)
		if (entry->d_name[0] != '.')
			take_volume(dirfd(d), entry->d_name, ret);
	(void)closedir(d); /* read side */
	return 0;
}

int hardware_storage(const struct root *root, struct strlist *ret, struct error *e)
{
	static const struct {
		const char *path;
		void (*take)(char *text, struct strlist *ret);
	} tables[] = { { "etc/fstab", take_mounts },
		       { "proc/mounts", take_mounts },
		       { "proc/swaps", take_swaps } };
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(tables) / sizeof(*tables); i++) {
		_cleanup_(free) char *text = NULL;

		r = read_table(root, tables[i].path, &text, e);
		if (r == 0)
			tables[i].take(text, ret);
	}
	if (r == 0)
		r = take_volumes(root, ret, e);
	if (r == 0 && faccessat(root->fd, "sys/firmware/efi", F_OK, 0) == 0)
		strlist_add_once(ret, "uefi");
	return r;
}
