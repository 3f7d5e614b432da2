/* btrfs: described by its superblock and, while it is mounted, the kernel; made by mkfs.btrfs(8). Its
 * subvolumes: machine/btrfs.h; on several devices: machine/layer-btrfs.c. Layout of the superblock: the kernel's include/uapi/linux/btrfs_tree.h, struct
 * btrfs_super_block, and https://btrfs.readthedocs.io/en/latest/dev/On-disk-format.html. Numbers are little-endian. */
#include "machine/fs.h"

#include "base/fs.h"
#include "base/proc.h"
#include "machine/btrfs.h"
#include "machine/btrfs_profile.h"
#include "machine/probe.h"
#include "machine/text.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>

#include <linux/btrfs.h>
#include <linux/btrfs_tree.h>

static const char *const types[] = { "btrfs", NULL };

static int check_size(const char *value)
{
	uint64_t v;

	return parse_u64(value, &v) < 0 || v < 4096 || v > 65536 || (v & (v - 1)) ? -EINVAL : 0;
}

/* In the order of their numbers. */
static const char *const checksums[] = { "crc32c", "xxhash", "sha256", "blake2" };
enum { checksum_count = sizeof(checksums) / sizeof(*checksums) };

static int check_checksum(const char *value)
{
	for (size_t i = 0; i < checksum_count; i++)
		if (streq(value, checksums[i]))
			return 0;
	return -EINVAL;
}

static int check_profile(const char *value)
{
	return btrfs_profile_find(value) ? 0 : -EINVAL;
}

/* What is chosen when it is made; other features come with use (compression, a default subvolume). */
static const struct feature {
	const char *name; /* also mkfs.btrfs's */
	bool read_only_compatible; /* which of the superblock's words */
	uint64_t bit;
	const char *flag; /* of mkfs.btrfs */
	bool newer; /* not known to every mkfs.btrfs: not said where it is absent */
} features[] = {
	{ "mixed-bg", false, 0x4, "-O", false },          { "extref", false, 0x40, "-O", false },
	{ "skinny-metadata", false, 0x100, "-O", false }, { "no-holes", false, 0x200, "-O", false },
	{ "free-space-tree", true, 0x1, "-R", false },    { "block-group-tree", true, 0x8, "-O", true },
};
enum { feature_count = sizeof(features) / sizeof(*features) };

static bool is_feature(const char *word)
{
	for (size_t i = 0; i < feature_count; i++)
		if (streq(word, features[i].name))
			return true;
	return false;
}

static int check_features(const char *value)
{
	return check_each_word(value, is_feature);
}

#define PROFILES "single, dup, raid0, raid1, raid1c3, raid1c4, raid5, raid6 or raid10"

static const struct ini_key keys[] = {
	{ "fs.bytes", "a number of bytes", check_number },
	{ "fs.node-size", "4096, 8192 … 65536", check_size },
	{ "fs.sector-size", "4096, 8192 … 65536", check_size },
	{ "fs.checksum", "crc32c, xxhash, sha256 or blake2", check_checksum },
	{ "fs.data", PROFILES, check_profile },
	{ "fs.metadata", PROFILES, check_profile },
	{ "fs.features",
	  "names of: mixed-bg extref skinny-metadata no-holes free-space-tree block-group-tree",
	  check_features },
	{ NULL, NULL, NULL },
};

struct superblock {
	uint8_t sum[32], fsid[16];
	uint64_t offset, flags;
	char magic[8];
	uint64_t generation, root, chunk_root, log_root, log_root_generation, bytes, bytes_used, root_dir,
		devices;
	uint32_t sector_size, node_size, leaf_size, stripe_size, sys_chunk_array_size;
	uint64_t chunk_root_generation, compat, compat_ro, incompat;
	uint16_t checksum;
	uint8_t levels[3];
	struct { /* struct btrfs_dev_item: the device that this superblock lies on */
		uint64_t id, bytes, bytes_used;
		uint32_t io_align, io_width, sector_size;
		uint64_t type, generation, start;
		uint32_t group;
		uint8_t seek_speed, bandwidth, uuid[16], fsid[16];
	} __attribute__((packed)) device;
	uint8_t label[256];
	uint64_t cache_generation, uuid_tree_generation;
	uint8_t metadata_uuid[16], reserved[224];
	struct { /* the first of the chunks by which all others are found: behind its key */
		uint8_t key[17];
		uint64_t length, owner, stripe_size, type;
	} __attribute__((packed)) system;
} __attribute__((packed));
_Static_assert(offsetof(struct superblock, label) == 299, "label of struct btrfs_super_block");
_Static_assert(offsetof(struct superblock, system) == 811, "sys_chunk_array of struct btrfs_super_block");

enum {
	superblock_at = 65536,
	/* with FREE_SPACE_TREE_VALID; not VERITY (0x4) */
	compat_ro_known = 0x1 | 0x2 | 0x8,
	compat_ro_verity = 0x4,
	/* MIXED_BACKREF … SKINNY_METADATA, NO_HOLES, METADATA_UUID (the UUID was changed later: a new file system needs no
	 * second one), RAID1C34; not ZONED and what is younger */
	incompat_known = 0xfff,
	seeding = 0x1, /* of flags, shifted by 32 */
};

/* ---- describing ---- */

static int refuse(const char *node, const char *why, struct error *e)
{
	return error_text(e, EOPNOTSUPP, "%s: btrfs %s cannot be rebuilt yet", node, why);
}

static int check_superblock(const char *node, const struct superblock *s, struct error *e)
{
	uint32_t sector = le32toh(s->sector_size), size = le32toh(s->node_size);

	if (memcmp(s->magic, "_BHRfS_M", sizeof(s->magic)) != 0 || sector < 4096 || sector > 65536 ||
	    (sector & (sector - 1)) || size < 4096 || size > 65536 || (size & (size - 1)) ||
	    le64toh(s->bytes) > INT64_MAX || le64toh(s->bytes) < 1 << 20 ||
	    le64toh(s->bytes_used) > le64toh(s->bytes))
		return error_text(e, EINVAL, "%s: broken btrfs superblock", node);
	if (le64toh(s->flags) >> 32 & seeding)
		return refuse(node, "as a seed of others", e);
	if (le64toh(s->compat_ro) & compat_ro_verity)
		return refuse(node, "with the feature verity, whose signatures cannot be carried over,", e);
	if (le64toh(s->incompat) & ~(uint64_t)incompat_known || le64toh(s->compat) ||
	    le64toh(s->compat_ro) & ~(uint64_t)compat_ro_known || le16toh(s->checksum) >= checksum_count)
		return refuse(node, "with features that Lifeboat does not know", e);
	return 0;
}

static void describe_superblock(const struct superblock *s, struct content *c)
{
	_cleanup_(strbuf) struct strbuf b = { 0 };

	if (le64toh(s->devices) == 1) /* else each device has a size of its own */
		content_set_number(c, "bytes", le64toh(s->bytes));
	content_set_number(c, "node-size", le32toh(s->node_size));
	content_set_number(c, "sector-size", le32toh(s->sector_size));
	key_values_set(&c->parameters, "checksum", checksums[le16toh(s->checksum)]);
	strbuf_puts(&b, "");
	for (size_t i = 0; i < feature_count; i++)
		if (le64toh(features[i].read_only_compatible ? s->compat_ro : s->incompat) & features[i].bit)
			strbuf_printf(&b, "%s%s", b.len ? " " : "", features[i].name);
	key_values_set(&c->parameters, "features", b.data);
	/* the profile of the system's chunks is that of metadata, unless it was converted by itself */
	const char *profile = btrfs_profile_of(le64toh(s->system.type))->name;

	key_values_set(&c->parameters, "metadata", profile);
	if (content_has_word(c, "features", "mixed-bg"))
		key_values_set(&c->parameters, "data", profile);
	c->used = le64toh(s->bytes_used);
}

static int read_superblock(const char *node, struct superblock *ret, struct error *e)
{
	char block[4096] = { 0 };
	int r = fs_read_block(node, superblock_at, block, e);

	if (r < 0)
		return r;
	memcpy(ret, block, sizeof(*ret));
	return check_superblock(node, ret, e);
}

int btrfs_read_device(const char *node, struct btrfs_superblock *ret, struct error *e)
{
	struct superblock s;
	int r = read_superblock(node, &s, e);

	if (r < 0)
		return r;
	*ret = (struct btrfs_superblock) {
		.devices = le64toh(s.devices),
		.generation = le64toh(s.generation),
		.id = le64toh(s.device.id),
		.size = le64toh(s.device.bytes),
	};
	for (size_t i = 0; i < sizeof(s.device.uuid); i++)
		(void)sprintf(ret->uuid + strlen(ret->uuid),
			      i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", s.device.uuid[i]);
	return 0;
}

/* Where a conversion was not finished, or mkfs.btrfs has left an empty chunk of another kind, the profile that holds most
 * stands for all. */
static void describe_profile(const struct btrfs_ioctl_space_args *args, uint64_t count, uint64_t kind,
			     const char *key, struct content *c)
{
	const struct btrfs_ioctl_space_info *most = NULL;

	for (uint64_t i = 0; i < count; i++) {
		const struct btrfs_ioctl_space_info *space = &args->spaces[i];

		if (!(space->flags & kind) || space->flags & BTRFS_SPACE_INFO_GLOBAL_RSV)
			continue;
		if (!most || space->used_bytes > most->used_bytes ||
		    (space->used_bytes == most->used_bytes && space->total_bytes > most->total_bytes))
			most = space;
	}
	if (most)
		key_values_set(&c->parameters, key, btrfs_profile_of(most->flags)->name);
}

/* What only the kernel tells of a mounted one: profiles, and how full it is. */
static int describe_live(const char *folder, struct content *c, struct error *e)
{
	enum { most = 64 };
	_cleanup_(free) struct btrfs_ioctl_space_args *args =
		xcalloc(1, sizeof(*args) + most * sizeof(struct btrfs_ioctl_space_info));
	_cleanup_(fd) int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct statvfs fs;

	args->space_slots = most;
	if (fd < 0 || ioctl(fd, BTRFS_IOC_SPACE_INFO, args) < 0 || fstatvfs(fd, &fs) < 0)
		return error_errno(e, errno, "look at the file system of %s", folder);
	uint64_t count = args->total_spaces < most ? args->total_spaces : most;

	describe_profile(args, count, BTRFS_BLOCK_GROUP_DATA, "data", c);
	describe_profile(args, count, BTRFS_BLOCK_GROUP_METADATA, "metadata", c);
	c->used = (uint64_t)(fs.f_blocks - fs.f_bfree) * fs.f_frsize;
	return 0;
}

/* Quotas stand in a tree of their own. */
static bool has_quotas(const struct content *c)
{
	_cleanup_(free) char *path = xasprintf("/sys/fs/btrfs/%s/qgroups", c->uuid ? c->uuid : "");

	return access(path, F_OK) == 0;
}

static int btrfs_describe(const char *node, const char *folder, struct content *c, struct report *report,
			  struct error *e)
{
	struct superblock s;
	int r = read_superblock(node, &s, e);

	if (r < 0)
		return r;
	describe_superblock(&s, c);
	if (has_quotas(c))
		report_warn(report, "%s: its quotas are not in the backup: set them again after a recovery",
			    folder ? folder : node);
	return folder ? describe_live(folder, c, e) : 0;
}

/* ---- other sizes ---- */

static const uint64_t mib = 1 << 20;
enum { least_mib = 256 }; /* mkfs.btrfs wants less than half of that for any node size */

static uint64_t btrfs_block_size(const struct content *c)
{
	uint64_t v = content_number(c, "sector-size");

	return v ? v : 4096;
}

static uint64_t btrfs_size(const struct content *c)
{
	return content_number(c, "bytes");
}

/* What is in use, a tenth, and room for chunks that are only begun. */
static uint64_t btrfs_minimum(const struct content *c)
{
	uint64_t needed = c->used + c->used / 10 + least_mib * mib;

	return c->used && btrfs_size(c) > least_mib * mib ? needed : 0;
}

static void btrfs_resize(struct content *c, uint64_t old_size, uint64_t new_size)
{
	uint64_t bytes = content_number(c, "bytes");

	/* it need not have filled its device */
	if (bytes && (new_size < bytes || new_size > old_size))
		content_set_number(c, "bytes", new_size / btrfs_block_size(c) * btrfs_block_size(c));
}

/* ---- making ---- */

static void add_value(struct strlist *argv, const char *flag, const struct content *c, const char *key)
{
	const char *value = key_values_get(&c->parameters, key);

	if (!value || streq(value, "0"))
		return;
	strlist_add(argv, flag);
	strlist_add(argv, value);
}

/* `unwanted` are features that this mkfs.btrfs has made by default. */
static void add_features(struct strlist *argv, const struct content *c, const struct strlist *unwanted)
{
	for (size_t i = 0; i < feature_count; i++) {
		const struct feature *f = &features[i];
		bool has = content_has_word(c, "features", f->name);

		if (!has && f->newer && !strlist_has(unwanted, f->name))
			continue;
		strlist_add(argv, f->flag);
		strlist_addf(argv, "%s%s", has ? "" : "^", f->name);
	}
}

/* mkfs.btrfs refuses a UUID that is in use, were it by what it is to overwrite. */
static int forget_former(const char *node, struct error *e)
{
	_cleanup_(fd) int fd = open(node, O_RDWR | O_CLOEXEC);
	off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);

	if (size < 0)
		return error_errno(e, errno, "open %s", node);
	int r = wipe_signatures(fd, node, 0, (uint64_t)size, e);

	return r == 0 && fsync(fd) < 0 ? error_errno(e, errno, "write %s", node) : r;
}

static int run_mkfs(const struct strlist *nodes, const struct content *c, const struct strlist *unwanted,
		    struct error *e)
{
	_cleanup_(strlist) struct strlist argv = { 0 };
	int r = 0;

	strlist_add_words(&argv, "mkfs.btrfs -q -f");
	add_value(&argv, "-b", c, "bytes");
	add_value(&argv, "-n", c, "node-size");
	add_value(&argv, "-s", c, "sector-size");
	add_value(&argv, "--csum", c, "checksum");
	add_value(&argv, "-d", c, "data");
	add_value(&argv, "-m", c, "metadata");
	if (key_values_get(&c->parameters, "features"))
		add_features(&argv, c, unwanted);
	if (c->uuid) {
		for (size_t i = 0; i < nodes->count && r == 0; i++)
			r = forget_former(nodes->items[i], e);
		strlist_add(&argv, "-U");
		strlist_add(&argv, c->uuid);
	}
	if (c->label) {
		strlist_add(&argv, "-L");
		strlist_add(&argv, c->label);
	}
	for (size_t i = 0; i < nodes->count; i++)
		strlist_add(&argv, nodes->items[i]);
	return r < 0 ? r : proc_run((const char *const *)argv.items, NULL, e);
}

static void find_unwanted(const struct content *made, const struct content *c, struct strlist *ret)
{
	for (size_t i = 0; i < feature_count; i++)
		if (content_has_word(made, "features", features[i].name) &&
		    !content_has_word(c, "features", features[i].name))
			strlist_add(ret, features[i].name);
}

static int compare(const char *node, const struct content *made, const struct content *c, struct error *e)
{
	for (size_t i = 0; i < made->parameters.count; i++) {
		const struct key_value *got = &made->parameters.items[i];
		const char *wanted = key_values_get(&c->parameters, got->key);

		if (wanted && !streq(wanted, "0") && !streq(got->value, wanted))
			return error_text(e, EINVAL,
					  "mkfs.btrfs made %s with %s = %s, where %s was to be: this version "
					  "cannot make that file system",
					  node, got->key, got->value, wanted);
	}
	return 0;
}

static int look_back(const char *node, struct content *ret, struct error *e)
{
	struct superblock s;
	int r = read_superblock(node, &s, e);

	if (r == 0)
		describe_superblock(&s, ret);
	return r;
}

/* Twice when this mkfs.btrfs has ideas of its own that are younger than the file system. */
int btrfs_make_on(const struct strlist *nodes, const struct content *c, struct error *e)
{
	_cleanup_(strlist) struct strlist none = { 0 }, unwanted = { 0 };
	const char *first = nodes->items[0];
	struct content made = { 0 };
	int r = run_mkfs(nodes, c, &none, e);

	if (r == 0)
		r = look_back(first, &made, e);
	if (r == 0 && key_values_get(&c->parameters, "features"))
		find_unwanted(&made, c, &unwanted);
	if (r == 0 && unwanted.count) {
		r = run_mkfs(nodes, c, &unwanted, e);
		if (r == 0)
			r = look_back(first, &made, e);
	}
	if (r == 0)
		r = compare(first, &made, c, e);
	key_values_free(&made.parameters);
	return r;
}

static int btrfs_make(const char *node, const struct content *c, struct error *e)
{
	_cleanup_(strlist) struct strlist nodes = { 0 };

	strlist_add(&nodes, node);
	return btrfs_make_alone(&nodes, c, e);
}

/* It refuses a UUID that it sees on another device, such as the very one that is surveyed: here it gets any. */
int btrfs_try_on(const struct strlist *files, const struct content *c, struct error *e)
{
	struct content nameless = *c;

	nameless.uuid = NULL;
	return btrfs_make_on(files, &nameless, e);
}

static int btrfs_try(const char *file, const struct content *c, struct error *e)
{
	_cleanup_(strlist) struct strlist files = { 0 };

	strlist_add(&files, file);
	return btrfs_try_on(&files, c, e);
}

const struct fs_ops fs_btrfs = {
	.types = types,
	.kind = CONTENT_FILESYSTEM,
	.mount_type = "btrfs",
	.method = "archive",
	.keys = keys,
	.check_uuid = check_uuid,
	.uuid_expected = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx in hexadecimal digits",
	.describe = btrfs_describe,
	.minimum = btrfs_minimum,
	.size = btrfs_size,
	.resize = btrfs_resize,
	.block_size = btrfs_block_size,
	.make = btrfs_make,
	.try = btrfs_try,
};
