#include "media/fat.h"

#include "base/fs.h"
#include "base/number.h"
#include "base/proc.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

/* Microsoft's FAT specification (fatgen103): the number of clusters decides the type. FAT16 has
 * 4085 to 65524; implementations disagree near the limits, so we stay away from them. */
enum {
	sector = 512,
	sectors_per_cluster = 8,
	cluster = sector * sectors_per_cluster,
	sectors_per_mib = (1 << 20) / sector,
	fat16_least = 4400,
	fat16_most = 64000,
	fat32_least = 67000,
	slack = (1 << 20) / cluster, /* ldlinux.sys and ldlinux.c32, and a note or two */
};

int fat_plan(const struct content *c, unsigned readers, struct fat_layout *ret, struct error *e)
{
	uint64_t clusters = slack;
	struct fat_layout l = { 0 };

	for (size_t i = 0; i < c->count; i++) {
		if (!(c->files[i].reader & readers))
			continue;
		if (c->files[i].size > UINT32_MAX)
			return error_text(e, EFBIG, "%s: FAT holds no file of 4 GiB", c->files[i].name);
		clusters += round_up(c->files[i].size, cluster) / cluster;
	}
	l.fat32 = clusters > fat16_most;
	if (clusters < fat16_least)
		clusters = fat16_least;
	if (l.fat32 && clusters < fat32_least)
		clusters = fat32_least;
	/* rounding to whole MiB below may add a MiB of clusters */
	uint64_t most = clusters + 2 * slack;

	l.reserved = l.fat32 ? 32 : sectors_per_cluster;
	l.root = l.fat32 ? 0 : 32; /* 512 entries */
	l.fat = (uint32_t)round_up((most + 2) * (l.fat32 ? 4 : 2) / sector + 1, sectors_per_cluster);
	uint64_t sectors = l.reserved + 2 * (uint64_t)l.fat + l.root + clusters * sectors_per_cluster;

	sectors = round_up(sectors, sectors_per_mib);
	if (sectors > UINT32_MAX)
		return error_text(e, EFBIG, "the medium would be larger than FAT can be");
	l.sectors = (uint32_t)sectors;
	*ret = l;
	return 0;
}

char *fd_path(int fd)
{
	return xasprintf("/proc/%d/fd/%d", (int)getpid(), fd);
}

void fat_env(const struct content *c, struct fat_env *ret)
{
	(void)snprintf(ret->epoch, sizeof(ret->epoch), "SOURCE_DATE_EPOCH=%" PRIu64, c->epoch); /* fits */
	ret->list[0] = ret->epoch;
	ret->list[1] = "TZ=UTC0";
	ret->list[2] = "MTOOLSRC=/dev/null";
	ret->list[3] = "LC_ALL=C";
	ret->list[4] = NULL;
}

static int format(const char *drive, uint32_t hidden, const struct fat_layout *l, const struct content *c,
		  const struct proc_options *options, struct error *e)
{
	_cleanup_(strlist) struct strlist argv = { 0 };

	/* geometry 255/63 is what a BIOS assumes of a USB disk */
	strlist_add_words(&argv, "mformat -h 255 -s 63 -v LIFEBOAT -i");
	strlist_add(&argv, drive);
	strlist_addf(&argv, "-T");
	strlist_addf(&argv, "%" PRIu32, l->sectors);
	strlist_addf(&argv, "-H");
	strlist_addf(&argv, "%" PRIu32, hidden);
	strlist_addf(&argv, "-c");
	strlist_addf(&argv, "%d", sectors_per_cluster);
	strlist_addf(&argv, "-R");
	strlist_addf(&argv, "%" PRIu32, l->reserved);
	strlist_addf(&argv, "-L");
	strlist_addf(&argv, "%" PRIu32, l->fat);
	strlist_addf(&argv, "-N");
	strlist_addf(&argv, "%08" PRIx32, content_serial(c));
	if (l->fat32) {
		strlist_add(&argv, "-F");
	} else {
		strlist_add(&argv, "-r");
		strlist_addf(&argv, "%" PRIu32, l->root);
	}
	strlist_add(&argv, "::");
	return proc_run((const char *const *)argv.items, options, e);
}

/* Makes the folders above `name` that are not in `made` yet. */
static int make_folders(const char *drive, const char *name, struct strlist *made,
			const struct proc_options *options, struct error *e)
{
	for (const char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
		_cleanup_(free) char *folder = xasprintf("::/%.*s", (int)(slash - name), name);
		const char *const argv[] = { "mmd", "-i", drive, folder, NULL };

		if (strlist_has(made, folder))
			continue;
		int r = proc_run(argv, options, e);

		if (r < 0)
			return r;
		strlist_add(made, folder);
	}
	return 0;
}

static int copy_in(const char *drive, const struct content_file *f, const struct proc_options *options,
		   struct error *e)
{
	_cleanup_(free) char *goal = xasprintf("::/%s", f->name);
	const char *const argv[] = { "mcopy", "-i", drive, "-", goal, NULL };
	struct proc_options with_input = *options;

	if (lseek(f->fd, 0, SEEK_SET) < 0)
		return error_errno(e, errno, "read %s", f->name);
	with_input.stdin_fd = f->fd;
	return proc_run(argv, &with_input, e);
}

int fat_make(int fd, uint64_t offset, uint32_t hidden, const struct fat_layout *layout,
	     const struct content *c, unsigned readers, struct error *e)
{
	_cleanup_(free) char *path = fd_path(fd);
	_cleanup_(free) char *drive = xasprintf("%s@@%" PRIu64, path, offset);
	_cleanup_(strlist) struct strlist made = { 0 };
	struct fat_env env;
	struct proc_options options = { .env = env.list };

	fat_env(c, &env);
	int r = format(drive, hidden, layout, c, &options, e);

	for (size_t i = 0; r == 0 && i < c->count; i++) {
		if (!(c->files[i].reader & readers))
			continue;
		r = make_folders(drive, c->files[i].name, &made, &options, e);
		if (r == 0)
			r = copy_in(drive, &c->files[i], &options, e);
	}
	return r;
}

/* `mshowfat` prints "::/NAME <FIRST-LAST> ..."; *ret_first is the first of one piece. */
static int first_cluster(const char *drive, const char *name, uint64_t *ret_first, struct error *e)
{
	_cleanup_(free) char *path = xasprintf("::/%s", name);
	const char *const argv[] = { "mshowfat", "-i", drive, path, NULL };
	const char *const env[] = { "MTOOLSRC=/dev/null", NULL };
	const struct proc_options options = { .env = env };
	_cleanup_(free) char *out = NULL;
	int r = proc_capture(argv, &options, &out, e);

	if (r < 0)
		return r;
	const char *from = strchr(out, '<');

	if (!from || strchr(from + 1, '<') || sscanf(from, "<%" SCNu64, ret_first) != 1 || *ret_first < 2)
		return error_text(e, EIO, "%s: not in one piece in its FAT: %s", name, str_strip(out));
	return 0;
}

int fat_locate(int fd, uint64_t offset, const struct fat_layout *layout, const struct content_file *file,
	       uint64_t *ret_offset, struct error *e)
{
	_cleanup_(free) char *path = fd_path(fd);
	_cleanup_(free) char *drive = xasprintf("%s@@%" PRIu64, path, offset);
	enum { step = 1 << 20 };
	_cleanup_(free) char *in_fat = xmalloc(step);
	_cleanup_(free) char *wanted = xmalloc(step);
	uint64_t first;
	int r = first_cluster(drive, file->name, &first, e);

	if (r < 0)
		return r;
	uint64_t at = (layout->reserved + 2 * (uint64_t)layout->fat + layout->root) * sector +
		      (first - 2) * cluster;

	for (uint64_t done = 0; done < file->size; done += step) {
		size_t len = file->size - done < step ? (size_t)(file->size - done) : step;

		if (pread_full(fd, in_fat, len, (off_t)(offset + at + done)) != (ssize_t)len ||
		    pread_full(file->fd, wanted, len, (off_t)done) != (ssize_t)len ||
		    memcmp(in_fat, wanted, len) != 0)
			return error_text(e, EIO, "%s: not where its FAT says it is", file->name);
	}
	*ret_offset = at;
	return 0;
}
