/* Sources: Documentation/ABI/testing/sysfs-block and sysfs-block-loop of Linux. */
#include "base/block.h"

#include "base/fs.h"
#include "base/str.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* An attribute of a device, or of what it lies in (`name` "../dev"); NULL: there is none. */
static char *attribute_of(dev_t number, const char *name)
{
	_cleanup_(free) char *path = xasprintf("/sys/dev/block/%u:%u/%s", major(number), minor(number), name);
	char *text = NULL;

	return read_file_at(AT_FDCWD, path, 64, &text, NULL, NULL) < 0 ? NULL : text;
}

unsigned block_partition(dev_t number)
{
	_cleanup_(free) char *text = attribute_of(number, "partition");
	unsigned partition;

	return text && sscanf(text, "%u", &partition) == 1 ? partition : 0;
}

dev_t block_disk(dev_t number)
{
	_cleanup_(free) char *text = attribute_of(number, block_partition(number) ? "../dev" : "dev");
	unsigned major_number, minor_number;

	if (!text || sscanf(text, "%u:%u", &major_number, &minor_number) != 2)
		return 0;
	return makedev(major_number, minor_number);
}

/* In sysfs a '!' stands for a slash. */
char *block_node(dev_t number)
{
	_cleanup_(free) char *path = xasprintf("/sys/dev/block/%u:%u", major(number), minor(number));
	_cleanup_(free) char *real = realpath(path, NULL);
	const char *slash = real ? strrchr(real, '/') : NULL;
	char *node = slash ? xasprintf("/dev%s", slash) : NULL;

	for (char *p = node; p && *p; p++)
		if (*p == '!')
			*p = '/';
	return node;
}

static bool is_one_of(dev_t number, const dev_t disks[], size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (disks[i] == number)
			return true;
	return false;
}

static void add_number(dev_t **list, size_t *count, dev_t number)
{
	*list = xrealloc(*list, (*count + 1) * sizeof(**list));
	(*list)[(*count)++] = number;
}

/* What it is made of; 0 for what cannot be told. A partition is made of what its disk or array is. */
static void list_slaves(dev_t number, dev_t **ret, size_t *count)
{
	dev_t whole = block_disk(number);
	_cleanup_(free) char *path = xasprintf("/sys/dev/block/%u:%u/slaves", major(whole), minor(whole));
	DIR *d = opendir(path);

	for (const struct dirent *entry; d && (entry = readdir(d));) {
		unsigned major_number, minor_number;

		if (entry->d_name[0] == '.')
			continue;
		_cleanup_(free) char *name = xasprintf("slaves/%s/dev", entry->d_name);
		_cleanup_(free) char *text = attribute_of(whole, name);

		add_number(ret, count,
			   text && sscanf(text, "%u:%u", &major_number, &minor_number) == 2
				   ? makedev(major_number, minor_number)
				   : 0);
	}
	if (d)
		(void)closedir(d); /* read side */
}

bool block_lies_on(dev_t number, const dev_t disks[], size_t count)
{
	_cleanup_(free) dev_t *slaves = NULL;
	size_t n = 0;
	bool all = true;

	list_slaves(number, &slaves, &n);
	for (size_t i = 0; i < n && all; i++)
		all = slaves[i] && block_lies_on(slaves[i], disks, count);
	return n ? all : is_one_of(block_disk(number), disks, count);
}

void block_disks(dev_t number, dev_t **ret, size_t *count)
{
	_cleanup_(free) dev_t *slaves = NULL;
	dev_t disk = block_disk(number);
	size_t n = 0;

	list_slaves(number, &slaves, &n);
	for (size_t i = 0; i < n; i++)
		if (slaves[i])
			block_disks(slaves[i], ret, count);
	if (n == 0 && disk && !is_one_of(disk, *ret, *count))
		add_number(ret, count, disk);
}

char *block_holder(const char *folder)
{
	_cleanup_(free) char *path = xasprintf("%s/holders", folder);
	DIR *d = opendir(path);
	char *found = NULL;
	const struct dirent *entry;

	if (!d)
		return NULL;
	while (!found && (entry = readdir(d)))
		if (entry->d_name[0] != '.')
			found = xstrdup(entry->d_name);
	(void)closedir(d); /* read side */
	return found;
}

/* False: the loop device has no file, or one that is not this device. */
static bool is_on(const char *sys, const char *loop, const char *name, dev_t number)
{
	_cleanup_(free) char *attribute = xasprintf("%s/block/%s/loop/backing_file", sys, loop);
	_cleanup_(free) char *text = NULL;
	struct stat st;

	if (read_file_at(AT_FDCWD, attribute, 65536, &text, NULL, NULL) < 0)
		return false;
	text[strcspn(text, "\n")] = '\0';
	const char *short_name = str_after(text, "/dev/");

	return (short_name && streq(short_name, name)) ||
	       (stat(text, &st) == 0 && S_ISBLK(st.st_mode) && st.st_rdev == number);
}

char *block_loop(const char *sys, const char *name, dev_t number)
{
	_cleanup_(free) char *path = xasprintf("%s/block", sys);
	DIR *d = opendir(path);
	char *found = NULL;
	const struct dirent *entry;

	if (!d)
		return NULL;
	while (!found && (entry = readdir(d)))
		if (str_after(entry->d_name, "loop") && is_on(sys, entry->d_name, name, number))
			found = xstrdup(entry->d_name);
	(void)closedir(d); /* read side */
	return found;
}
