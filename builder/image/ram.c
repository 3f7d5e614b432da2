#include "image/ram.h"

#include "base/fs.h"
#include "image/image.h"
#include "image/pack.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

enum {
	kernel_unpacked = 6, /* times the size of its file; measured: 46 MiB of 7.9 */
	kernel_more = 16 << 20, /* what it reserves besides */
	working_memory = 96 << 20, /* for the tools of a recovery, at least */
	max_list = 64 << 20,
};

/* The kernel unpacks into a tmpfs, which gets half of what it and the still packed initrd leave (Linux:
 * mm/shmem.c, shmem_default_max_blocks); afterwards the tree is there once. */
uint64_t ram_needed(uint64_t kernel, uint64_t initrd, uint64_t tree)
{
	uint64_t unpacking = 2 * tree + initrd, working = tree + working_memory;

	return kernel_unpacked * kernel + kernel_more + (unpacking > working ? unpacking : working);
}

/* One line of a tree.list, without its end: path, type, mode, size and reason between tabs. */
static int count_line(char *line, struct pack_totals *totals)
{
	const char *fields[5];
	uint64_t size;

	for (size_t i = 0; i < 5; i++)
		if (!(fields[i] = strsep(&line, "\t")))
			return -EINVAL;
	if (parse_u64(fields[3], &size) < 0)
		return -EINVAL;
	const struct entry entry = { .mode = streq(fields[1], "file") ? S_IFREG : S_IFDIR, .size = size };

	pack_totals_add(totals, &entry, size);
	return 0;
}

static int count_list(const char *dir, struct pack_totals *totals, struct error *e)
{
	_cleanup_(free) char *path = xasprintf("%s/tree.list", dir), *text = NULL;
	unsigned number = 0;
	int r = read_file_at(AT_FDCWD, path, max_list, &text, NULL, e);

	for (char *rest = text, *line; r == 0 && (line = strsep(&rest, "\n"));) {
		number++;
		if (*line && count_line(line, totals) < 0)
			r = error_text(e, EINVAL,
				       "%s:%u: expected path, type, mode, size and reason between tabs", path,
				       number);
	}
	return r;
}

int image_folder_ram(const char *dir, uint64_t *ret, struct error *e)
{
	static const char *const names[] = { "vmlinuz", "initrd.img" };
	uint64_t sizes[2];
	struct pack_totals totals = { 0 };

	for (size_t i = 0; i < 2; i++) {
		_cleanup_(free) char *path = xasprintf("%s/%s", dir, names[i]);
		struct stat st;

		if (stat(path, &st) < 0)
			return error_errno(e, errno, "open %s", path);
		sizes[i] = (uint64_t)st.st_size;
	}
	int r = count_list(dir, &totals, e);

	if (r < 0 && r != -ENOENT)
		return r;
	*ret = r < 0 ? 0 : ram_needed(sizes[0], sizes[1], totals.memory);
	return 0;
}
