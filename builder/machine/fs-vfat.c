/* FAT: volume id, labels and all that the boot sector says; its files are archived. Made by mkfs.fat(8). Layout: Microsoft's "FAT32 File
 * System Specification", the BIOS parameter block. */
#include "machine/fs.h"

#include "base/fs.h"
#include "base/proc.h"
#include "machine/text.h"

#include <ctype.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

static const char *const types[] = { "vfat", NULL };

static int check_fat_bits(const char *value)
{
	return streq(value, "12") || streq(value, "16") || streq(value, "32") ? 0 : -EINVAL;
}

static int check_volume_id(const char *value)
{
	for (size_t i = 0; i < 9; i++)
		if (i == 4 ? value[i] != '-' : !isxdigit((unsigned char)value[i]))
			return -EINVAL;
	return value[9] ? -EINVAL : 0;
}

static int check_byte(const char *value)
{
	const char *p = str_after(value, "0x");

	return p && isxdigit((unsigned char)p[0]) && isxdigit((unsigned char)p[1]) && !p[2] ? 0 : -EINVAL;
}

static int check_geometry(const char *value)
{
	unsigned heads, track;
	char end;

	return sscanf(value, "%u/%u%c", &heads, &track, &end) == 2 && heads <= UINT16_MAX &&
			       track <= UINT16_MAX
		       ? 0
		       : -EINVAL;
}

static int check_label(const char *value)
{
	return strlen(value) <= 11 ? 0 : -EINVAL;
}

static const struct ini_key keys[] = {
	{ "fs.bits", "12, 16 or 32", check_fat_bits },
	{ "fs.cluster-sectors", "a number of sectors", check_number },
	{ "fs.reserved-sectors", "a number of sectors", check_number },
	{ "fs.tables", "1 to 4", check_number },
	{ "fs.root-entries", "a number of entries", check_number },
	{ "fs.hidden-sectors", "a number of sectors", check_number },
	{ "fs.media", "0x and two hexadecimal digits", check_byte },
	{ "fs.drive", "0x and two hexadecimal digits", check_byte },
	{ "fs.geometry", "HEADS/SECTORS", check_geometry },
	{ "fs.boot-label", "at most 11 characters", check_label },
	{ NULL, NULL, NULL },
};

/* What the end of the boot sector's parameters has in common between FAT32 and the others. */
struct __attribute__((packed)) boot_end {
	uint8_t drive, flags, signature, id[4];
	char label[11];
};

struct __attribute__((packed)) boot_sector {
	uint8_t jump[3], oem[8];
	uint16_t sector_size;
	uint8_t cluster_sectors;
	uint16_t reserved;
	uint8_t fats;
	uint16_t root_entries, sectors16;
	uint8_t media;
	uint16_t fat_sectors16, track, heads;
	uint32_t hidden, sectors32;
	union {
		struct boot_end small; /* FAT12 and FAT16 */
		struct __attribute__((packed)) {
			uint32_t fat_sectors;
			uint16_t flags, version;
			uint32_t root_cluster;
			uint16_t info, backup;
			uint8_t reserved[12];
			struct boot_end end;
		} big;
	};
};
_Static_assert(sizeof(struct boot_sector) == 82, "up to the label of FAT32");

static bool is_fat32(const struct boot_sector *b)
{
	return b->fat_sectors16 == 0;
}

static const struct boot_end *boot_end(const struct boot_sector *b)
{
	return is_fat32(b) ? &b->big.end : &b->small;
}

static int read_boot_sector(const char *node, struct boot_sector *ret, struct error *e)
{
	_cleanup_(fd) int fd = open(node, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return error_errno(e, errno, "open %s", node);
	ssize_t n = pread_full(fd, ret, sizeof(*ret), 0);

	if (n != sizeof(*ret))
		return error_errno(e, n < 0 ? (int)-n : EIO, "read %s", node);
	if (!ret->sector_size || !ret->cluster_sectors)
		return error_text(e, EINVAL, "%s: broken FAT boot sector", node);
	return 0;
}

static unsigned bits_of(const struct boot_sector *b)
{
	uint64_t sector = le16toh(b->sector_size), sectors = le16toh(b->sectors16);

	if (!sectors)
		sectors = le32toh(b->sectors32);
	uint64_t root_sectors = ((uint64_t)le16toh(b->root_entries) * 32 + sector - 1) / sector;
	uint64_t overhead =
		le16toh(b->reserved) + (uint64_t)b->fats * le16toh(b->fat_sectors16) + root_sectors;
	uint64_t clusters = sectors > overhead ? (sectors - overhead) / b->cluster_sectors : 0;

	/* FAT32 is known by its empty 16-bit table size; the other two by the number of clusters. */
	return is_fat32(b) ? 32 : clusters < 4085 ? 12 : 16;
}

/* Where the partition begins on its disk, in sectors: what mkfs.fat takes for the hidden ones. 0: it is none. */
static uint64_t node_start(const char *node)
{
	struct stat st;
	_cleanup_(free) char *text = NULL;
	uint64_t start;

	if (stat(node, &st) < 0 || !S_ISBLK(st.st_mode))
		return 0;
	_cleanup_(free) char *path =
		xasprintf("/sys/dev/block/%u:%u/start", major(st.st_rdev), minor(st.st_rdev));

	if (read_file_at(AT_FDCWD, path, 64, &text, NULL, NULL) < 0)
		return 0;
	text[strcspn(text, "\n")] = '\0';
	return parse_u64(text, &start) == 0 ? start : 0;
}

static void set_byte(struct content *c, const char *key, uint8_t value)
{
	_cleanup_(free) char *text = xasprintf("0x%02x", value);

	key_values_set(&c->parameters, key, text);
}

/* The label in the boot sector is padded with blanks; "NO NAME" stands for none. It need not be the one in the root folder,
 * which libblkid tells. */
static char *boot_label(const struct boot_sector *b)
{
	char *label = xstrndup(boot_end(b)->label, sizeof(boot_end(b)->label));

	for (size_t n = strlen(label); n > 0 && label[n - 1] == ' '; n--)
		label[n - 1] = '\0';
	if (streq(label, "NO NAME"))
		*label = '\0';
	return label;
}

static bool is_printable(const char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			return false;
	return true;
}

static int vfat_describe(const char *node, const char *folder, struct content *c, struct report *report,
			 struct error *e)
{
	struct boot_sector b;
	struct statvfs fs;
	int r = read_boot_sector(node, &b, e);

	(void)report; /* nothing is lost */
	if (r < 0)
		return r;
	if (folder) {
		if (statvfs(folder, &fs) < 0)
			return error_errno(e, errno, "look at %s", folder);
		c->used = (uint64_t)(fs.f_blocks - fs.f_bfree) * fs.f_frsize;
	}
	content_set_number(c, "bits", bits_of(&b));
	content_set_number(c, "cluster-sectors", b.cluster_sectors);
	content_set_number(c, "reserved-sectors", le16toh(b.reserved));
	content_set_number(c, "tables", b.fats);
	if (!is_fat32(&b))
		content_set_number(c, "root-entries", le16toh(b.root_entries));
	/* else it follows the partition, which may move */
	if (le32toh(b.hidden) != node_start(node) * 512 / le16toh(b.sector_size))
		content_set_number(c, "hidden-sectors", le32toh(b.hidden));
	set_byte(c, "media", b.media);
	set_byte(c, "drive", boot_end(&b)->drive);
	_cleanup_(free) char *geometry = xasprintf("%u/%u", le16toh(b.heads), le16toh(b.track)),
			     *label = boot_label(&b);

	key_values_set(&c->parameters, "geometry", geometry);
	if (!streq(label, c->label ? c->label : "") && is_printable(label))
		key_values_set(&c->parameters, "boot-label", label);
	return 0;
}

static uint64_t vfat_zero(const struct content *c)
{
	(void)c; /* takes what it gets, and is not shrunk */
	return 0;
}

static uint64_t vfat_block_size(const struct content *c)
{
	(void)c; /* made for the sectors of the disk */
	return UINT64_MAX;
}

static void add_value(struct strlist *argv, const char *flag, const struct content *c, const char *key)
{
	const char *value = key_values_get(&c->parameters, key);

	if (!value)
		return;
	strlist_add(argv, flag);
	strlist_add(argv, value);
}

/* `exactly`: with nothing put on boundaries of clusters, which mkfs.fat does by reserving more. */
static int run_mkfs(const char *node, const struct content *c, bool exactly, struct error *e)
{
	_cleanup_(strlist) struct strlist argv = { 0 };
	_cleanup_(free) char *greeting = NULL;

	strlist_add(&argv, "mkfs.vfat");
	if (exactly)
		strlist_add(&argv, "-a");
	add_value(&argv, "-F", c, "bits");
	add_value(&argv, "-s", c, "cluster-sectors");
	add_value(&argv, "-R", c, "reserved-sectors");
	add_value(&argv, "-f", c, "tables");
	add_value(&argv, "-r", c, "root-entries");
	add_value(&argv, "-h", c, "hidden-sectors");
	add_value(&argv, "-M", c, "media");
	add_value(&argv, "-D", c, "drive");
	add_value(&argv, "-g", c, "geometry");
	if (c->uuid) {
		strlist_add(&argv, "-i");
		strlist_addf(&argv, "%.4s%s", c->uuid, c->uuid + 5);
	}
	if (c->label) {
		strlist_add(&argv, "-n");
		strlist_add(&argv, c->label);
	}
	strlist_add(&argv, node);
	/* its greeting would come last, behind the reason of a failure */
	return proc_capture((const char *const *)argv.items, NULL, &greeting, e);
}

/* Into the boot sector, and its copy on FAT32: mkfs.fat gives both places one label. */
static int set_boot_label(const char *node, const char *label, struct error *e)
{
	struct boot_sector b;
	int r = read_boot_sector(node, &b, e);

	if (r < 0)
		return r;
	_cleanup_(fd) int fd = open(node, O_RDWR | O_CLOEXEC);
	_cleanup_(free) char *padded = xasprintf("%-11s", *label ? label : "NO NAME");
	off_t at = is_fat32(&b) ? offsetof(struct boot_sector, big.end.label)
				: offsetof(struct boot_sector, small.label);
	off_t copy = is_fat32(&b) ? (off_t)le16toh(b.big.backup) * le16toh(b.sector_size) : 0;

	if (fd < 0)
		return error_errno(e, errno, "open %s", node);
	if (pwrite(fd, padded, 11, at) != 11 || (copy && pwrite(fd, padded, 11, copy + at) != 11) ||
	    fsync(fd) < 0)
		return error_errno(e, errno ? errno : EIO, "write the label of %s", node);
	return 0;
}

static int vfat_make(const char *node, const struct content *c, struct error *e)
{
	const char *label = key_values_get(&c->parameters, "boot-label");
	uint64_t reserved = content_number(c, "reserved-sectors");
	struct boot_sector b;
	int r = run_mkfs(node, c, false, e);

	if (r == 0)
		r = read_boot_sector(node, &b, e);
	if (r == 0 && reserved && le16toh(b.reserved) != reserved)
		r = run_mkfs(node, c, true, e);
	return r == 0 && label ? set_boot_label(node, label, e) : r;
}

const struct fs_ops fs_vfat = {
	.types = types,
	.kind = CONTENT_FILESYSTEM,
	.mount_type = "vfat",
	.method = "archive",
	.keys = keys,
	.check_uuid = check_volume_id,
	.uuid_expected = "XXXX-XXXX in hexadecimal digits",
	.describe = vfat_describe,
	.minimum = vfat_zero,
	.size = vfat_zero,
	.block_size = vfat_block_size,
	.make = vfat_make,
};
