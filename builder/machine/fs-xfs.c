/* XFS: described by its own superblock, made by mkfs.xfs(8) with every option said, whatever the defaults of
 * that version are. Layout of the superblock: "XFS Algorithms & Data Structures", 3rd edition, chapter
 * "Superblocks", and the kernel's fs/xfs/libxfs/xfs_format.h, struct xfs_dsb. Numbers are big-endian. */
#include "machine/fs.h"

#include "base/fs.h"
#include "base/number.h"
#include "base/proc.h"
#include "machine/text.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/ioctl.h>
#include <sys/quota.h>
#include <sys/statvfs.h>

#include <linux/dqblk_xfs.h>
#include <linux/fs.h>

static const char *const types[] = { "xfs", NULL };

static int check_size(const char *value)
{
	uint64_t v;

	return parse_u64(value, &v) < 0 || v < 256 || v > 65536 || (v & (v - 1)) ? -EINVAL : 0;
}

static int check_percent(const char *value)
{
	uint64_t v;

	return parse_u64(value, &v) < 0 || v > 100 ? -EINVAL : 0;
}

static int check_log_version(const char *value)
{
	return streq(value, "1") || streq(value, "2") ? 0 : -EINVAL;
}

/* What a file system can have beyond the oldest XFS: where the superblock says so, and what mkfs.xfs calls it. */
enum where { VERSION, FEATURES2, RO_COMPAT, INCOMPAT };
static const struct feature {
	const char *name; /* in fs.features */
	enum where where;
	uint32_t bit;
	const char *flag, *suboption; /* of mkfs.xfs; NULL: follows from the others */
	bool only_v4; /* a choice there; with checksums it is always there */
	bool newer; /* not known to every mkfs.xfs: not said where it is absent */
} features[] = {
	{ "crc", FEATURES2, 0x100, "-m", "crc", false, false },
	{ "finobt", RO_COMPAT, 0x1, "-m", "finobt", false, false },
	{ "rmapbt", RO_COMPAT, 0x2, "-m", "rmapbt", false, false },
	{ "reflink", RO_COMPAT, 0x4, "-m", "reflink", false, false },
	{ "inobtcount", RO_COMPAT, 0x8, "-m", "inobtcount", false, true },
	{ "bigtime", INCOMPAT, 0x8, "-m", "bigtime", false, true },
	{ "sparse", INCOMPAT, 0x2, "-i", "sparse", false, false },
	{ "nrext64", INCOMPAT, 0x20, "-i", "nrext64", false, true },
	{ "exchange", INCOMPAT, 0x40, "-i", "exchange", false, true },
	{ "parent", INCOMPAT, 0x80, "-n", "parent", false, true },
	{ "ascii-ci", VERSION, 0x4000, "-n", "version", false, true },
	{ "attr2", FEATURES2, 0x8, "-i", "attr", true, false },
	{ "projid32bit", FEATURES2, 0x80, "-i", "projid32bit", true, false },
	{ "lazy-count", FEATURES2, 0x2, "-l", "lazy-count", true, false },
	{ "ftype", FEATURES2, 0x200, "-n", "ftype", true, false },
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

static const struct ini_key keys[] = {
	{ "fs.block-size", "a power of two", check_size },
	{ "fs.sector-size", "a power of two", check_size },
	{ "fs.inode-size", "a power of two", check_size },
	{ "fs.directory-block-size", "a power of two", check_size },
	{ "fs.blocks", "a number of blocks", check_number },
	{ "fs.group-blocks", "a number of blocks", check_number },
	{ "fs.inode-percent", "0 to 100", check_percent },
	{ "fs.features",
	  "names of: crc finobt rmapbt reflink inobtcount bigtime sparse nrext64 exchange parent ascii-ci "
	  "attr2 "
	  "projid32bit lazy-count ftype",
	  check_features },
	{ "fs.stripe-unit", "a number of blocks", check_number },
	{ "fs.stripe-width", "a number of blocks", check_number },
	{ "fs.log-version", "1 or 2", check_log_version },
	{ "fs.log-blocks", "a number of blocks", check_number },
	{ "fs.log-group", "the number of an allocation group", check_number },
	{ "fs.log-stripe", "a number of bytes", check_number },
	{ NULL, NULL, NULL },
};

struct superblock {
	uint32_t magic, block_size;
	uint64_t blocks, rt_blocks, rt_extents;
	uint8_t uuid[16];
	uint64_t log_start, root_inode, rt_bitmap_inode, rt_summary_inode;
	uint32_t rt_extent_size, group_blocks, groups, rt_bitmap_blocks, log_blocks;
	uint16_t version, sector_size, inode_size, inodes_per_block;
	char label[12];
	uint8_t block_log, sector_log, inode_log, inodes_per_block_log, group_log, rt_extents_log,
		in_progress, inode_percent;
	uint64_t inodes, free_inodes, free_blocks, free_rt_extents, user_quota_inode, group_quota_inode;
	uint16_t quota_flags;
	uint8_t flags, shared_version;
	uint32_t inode_alignment, stripe_unit, stripe_width;
	uint8_t directory_log, log_sector_log;
	uint16_t log_sector_size;
	uint32_t log_stripe, features2, bad_features2;
	uint32_t compat, ro_compat, incompat, log_incompat; /* from here on only with checksums */
} __attribute__((packed));
_Static_assert(sizeof(struct superblock) == 224, "the crc of struct xfs_dsb stands at 224");

enum {
	version_number = 0xf,
	version_known = 0x7ff0, /* ATTR … BORG */
	version_more = 0x8000, /* features2 counts */
	features2_known = 0x2 | 0x8 | 0x80 | 0x100 | 0x200,
	ro_compat_known = 0xf,
	/* FTYPE, SPINODES, META_UUID (the UUID was changed later: a new file system needs no second one), BIGTIME,
	 * NREXT64, EXCHRANGE, PARENT; not NEEDSREPAIR (0x10) */
	incompat_known = 0x1 | 0x2 | 0x4 | 0x8 | 0x20 | 0x40 | 0x80,
	incompat_needs_repair = 0x10,
	quota_accounting = 0x1 | 0x8 | 0x40, /* of users, projects, groups */
};

static bool is_v5(const struct superblock *s)
{
	return (be16toh(s->version) & version_number) == 5;
}

static uint32_t features_at(const struct superblock *s, enum where where)
{
	switch (where) {
	case VERSION:
		return be16toh(s->version);
	case FEATURES2:
		return be16toh(s->version) & version_more ? be32toh(s->features2) : 0;
	case RO_COMPAT:
		return is_v5(s) ? be32toh(s->ro_compat) : 0;
	default:
		return is_v5(s) ? be32toh(s->incompat) : 0;
	}
}

/* ---- describing ---- */

static int read_superblock(const char *node, struct superblock *ret, struct error *e)
{
	char block[4096] = { 0 };
	int r = fs_read_block(node, 0, block, e);

	if (r < 0)
		return r;
	memcpy(ret, block, sizeof(*ret));
	return 0;
}

static int broken(const char *node, const char *what, struct error *e)
{
	return error_text(e, EINVAL, "%s: broken XFS superblock: %s", node, what);
}

static bool is_power(uint64_t v, uint64_t least, uint64_t most)
{
	return v >= least && v <= most && !(v & (v - 1));
}

static int check_superblock(const char *node, const struct superblock *s, struct error *e)
{
	uint64_t block_size = be32toh(s->block_size), blocks = be64toh(s->blocks);
	uint64_t group_blocks = be32toh(s->group_blocks), groups = be32toh(s->groups);

	if (be32toh(s->magic) != 0x58465342)
		return broken(node, "no magic number", e);
	if (!is_power(block_size, 512, 65536) || !is_power(be16toh(s->sector_size), 512, 32768) ||
	    !is_power(be16toh(s->inode_size), 256, 2048) || s->directory_log > 7 ||
	    !is_power(block_size << s->directory_log, 512, 65536))
		return broken(node, "impossible sizes of blocks, sectors, inodes or directories", e);
	if (!groups || blocks > INT64_MAX / block_size || blocks <= (groups - 1) * group_blocks ||
	    blocks > groups * group_blocks)
		return broken(node, "its allocation groups are not as large as itself", e);
	if (s->group_log > 31 || be32toh(s->log_blocks) > group_blocks || be64toh(s->free_blocks) > blocks ||
	    be64toh(s->log_start) >> s->group_log >= groups)
		return broken(node, "its log or what is free is larger than itself", e);
	if (s->inode_percent > 100 || s->in_progress)
		return broken(node, "it was never made completely", e);
	return 0;
}

static int refuse(const char *node, const char *why, struct error *e)
{
	return error_text(e, EOPNOTSUPP, "%s: xfs %s cannot be rebuilt yet", node, why);
}

static int check_supported(const char *node, const struct superblock *s, struct error *e)
{
	unsigned version = be16toh(s->version) & version_number;

	if (version != 4 && version != 5)
		return refuse(node, "of a version other than 4 and 5", e);
	if (be64toh(s->rt_blocks))
		return refuse(node, "with a realtime device", e);
	if (!be64toh(s->log_start))
		return refuse(node, "with its log on another device", e);
	if (features_at(s, INCOMPAT) & incompat_needs_repair)
		return error_text(e, EUCLEAN, "%s: it is marked as in need of repair: run xfs_repair", node);
	if (features_at(s, INCOMPAT) & ~(uint32_t)incompat_known ||
	    features_at(s, RO_COMPAT) & ~(uint32_t)ro_compat_known || (is_v5(s) && be32toh(s->compat) != 0) ||
	    features_at(s, FEATURES2) & ~(uint32_t)features2_known)
		return refuse(node, "with features that Lifeboat does not know", e);
	return 0;
}

static void describe_features(const struct superblock *s, struct content *c)
{
	_cleanup_(strbuf) struct strbuf b = { 0 };

	strbuf_puts(&b, "");
	for (size_t i = 0; i < feature_count; i++) {
		const struct feature *f = &features[i];
		bool has = streq(f->name, "crc") ? is_v5(s) : features_at(s, f->where) & f->bit;

		if (has && !(f->only_v4 && is_v5(s)))
			strbuf_printf(&b, "%s%s", b.len ? " " : "", f->name);
	}
	key_values_set(&c->parameters, "features", b.data);
}

static void describe_log(const struct superblock *s, struct content *c)
{
	content_set_number(c, "log-version", be16toh(s->version) & 0x400 ? 2 : 1);
	content_set_number(c, "log-blocks", be32toh(s->log_blocks));
	content_set_number(c, "log-group", be64toh(s->log_start) >> s->group_log);
	if (be32toh(s->log_stripe) > 1) /* 1 stands for none */
		content_set_number(c, "log-stripe", be32toh(s->log_stripe));
}

static void describe_superblock(const struct superblock *s, struct content *c)
{
	uint64_t block_size = be32toh(s->block_size);

	content_set_number(c, "block-size", block_size);
	content_set_number(c, "sector-size", be16toh(s->sector_size));
	content_set_number(c, "inode-size", be16toh(s->inode_size));
	content_set_number(c, "directory-block-size", block_size << s->directory_log);
	content_set_number(c, "blocks", be64toh(s->blocks));
	content_set_number(c, "group-blocks", be32toh(s->group_blocks));
	content_set_number(c, "inode-percent", s->inode_percent);
	describe_features(s, c);
	if (s->stripe_unit) {
		content_set_number(c, "stripe-unit", be32toh(s->stripe_unit));
		content_set_number(c, "stripe-width", be32toh(s->stripe_width));
	}
	describe_log(s, c);
	c->used = (be64toh(s->blocks) - be64toh(s->free_blocks)) * block_size;
}

/* What is mounted may have grown, which the superblock on the disk tells later; and its free blocks are counted
 * in memory. Structure: xfsprogs' xfs_fs.h, struct xfs_fsop_geom_v1. */
static int describe_live(const char *folder, struct content *c, struct error *e)
{
	struct {
		uint32_t block_size, rt_extent_size, group_blocks, groups, log_blocks, sector_size,
			inode_size, inode_percent;
		uint64_t blocks, rt_blocks, rt_extents, log_start;
		uint8_t uuid[16];
		uint32_t stripe_unit, stripe_width;
		int32_t version;
		uint32_t flags, log_sector_size, rt_sector_size, directory_block_size;
	} now;
	_Static_assert(sizeof(now) == 112, "struct xfs_fsop_geom_v1");
	_cleanup_(fd) int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct statvfs fs;

	if (fd < 0 || ioctl(fd, _IOR('X', 100, now), &now) < 0 || fstatvfs(fd, &fs) < 0)
		return error_errno(e, errno, "look at the file system of %s", folder);
	content_set_number(c, "blocks", now.blocks);
	content_set_number(c, "inode-percent", now.inode_percent);
	uint64_t size = now.blocks * now.block_size, unused = (uint64_t)fs.f_bfree * fs.f_frsize;

	c->used = size > unused ? size - unused : 0;
	return 0;
}

/* Of a mounted one the kernel tells, which writes it to the superblock later. */
static bool has_quotas(const char *node, const struct superblock *s)
{
	struct fs_quota_stat now = { 0 };

	if (quotactl(QCMD(Q_XGETQSTAT, USRQUOTA), node, 0, (caddr_t)&now) == 0)
		return now.qs_flags & (FS_QUOTA_UDQ_ACCT | FS_QUOTA_GDQ_ACCT | FS_QUOTA_PDQ_ACCT);
	return be16toh(s->quota_flags) & quota_accounting;
}

static int xfs_describe(const char *node, const char *folder, struct content *c, struct report *report,
			struct error *e)
{
	struct superblock s;
	int r = read_superblock(node, &s, e);

	if (r == 0)
		r = check_superblock(node, &s, e);
	if (r == 0)
		r = check_supported(node, &s, e);
	if (r < 0)
		return r;
	describe_superblock(&s, c);
	if (has_quotas(node, &s))
		report_warn(report, "%s: its quotas are not in the backup: set them again after a recovery",
			    folder ? folder : node);
	return folder ? describe_live(folder, c, e) : 0;
}

/* ---- other sizes ---- */

static const uint64_t mib = 1 << 20;
enum {
	least_mib = 300,
	least_log_mib = 64,
	least_group_mib = 16
}; /* of mkfs.xfs since 5.19; any's for a group */

static uint64_t xfs_block_size(const struct content *c)
{
	uint64_t v = content_number(c, "block-size");

	return v ? v : 4096;
}

static uint64_t xfs_size(const struct content *c)
{
	uint64_t size;

	return __builtin_mul_overflow(content_number(c, "blocks"), xfs_block_size(c), &size) ? UINT64_MAX
											     : size;
}

/* The blocks in use (the log among them), a tenth, and room for a boot's logs. */
static uint64_t xfs_minimum(const struct content *c)
{
	uint64_t needed = c->used + c->used / 10 + 64 * mib;

	if (!c->used || xfs_size(c) < least_mib * mib)
		return 0;
	return needed > least_mib * mib ? needed : least_mib * mib;
}

/* Groups stay as large as they were, but for there being as many as mkfs.xfs would make, four. */
static void xfs_resize(struct content *c, uint64_t old_size, uint64_t new_size)
{
	uint64_t blocks = content_number(c, "blocks"), wanted = new_size / xfs_block_size(c);
	uint64_t group = content_number(c, "group-blocks"), unit = content_number(c, "stripe-unit");
	uint64_t log = content_number(c, "log-blocks"), before = group,
		 least_group = least_group_mib * mib / xfs_block_size(c);

	/* it need not have filled its device */
	if (!blocks || (wanted >= blocks && new_size <= old_size) || !wanted || !group || group > blocks)
		return;
	uint64_t groups = (blocks - 1) / group + 1, most = groups < 4 ? groups : 4;

	if (group > wanted / most)
		group = round_up((wanted - 1) / most + 1, unit < wanted ? unit : 0);
	if (wanted % group < least_group && wanted > group)
		wanted -= wanted % group; /* mkfs.xfs makes no smaller one */
	content_set_number(c, "blocks", wanted);
	content_set_number(c, "group-blocks", group);
	if (wanted >= blocks)
		return; /* the log stays where it was, as xfs_growfs(8) leaves it */
	if (group < before && log > group / 4 * 3)
		content_set_number(c, "log-blocks", group / 4 * 3); /* it lies within a group */
	content_set_number(c, "log-group", ((wanted - 1) / group + 1) / 2); /* as mkfs.xfs does */
}

/* ---- making ---- */

/* A disk with larger sectors gets larger ones in its file system. */
static uint64_t sector_size(const char *node, const struct content *c)
{
	_cleanup_(fd) int fd = open(node, O_RDONLY | O_CLOEXEC);
	uint64_t wanted = content_number(c, "sector-size");
	int logical = 0;

	if (fd < 0 || ioctl(fd, BLKSSZGET, &logical) < 0)
		return wanted; /* a file */
	return wanted && (uint64_t)logical > wanted ? (uint64_t)logical : wanted;
}

static bool has_feature(const struct content *c, const char *name)
{
	return content_has_word(c, "features", name);
}

static void add_option(struct strlist *argv, const char *flag, const char *name, uint64_t value)
{
	strlist_add(argv, flag);
	strlist_addf(argv, "%s=%" PRIu64, name, value);
}

/* "-m crc=1": `unwanted` are features that this mkfs.xfs has made by default. */
static void add_feature(struct strlist *argv, const struct content *c, const struct feature *f,
			const struct strlist *unwanted)
{
	bool has = has_feature(c, f->name);

	if (f->only_v4 && has_feature(c, "crc"))
		return;
	if (f->newer && !has && !strlist_has(unwanted, f->name))
		return;
	strlist_add(argv, f->flag);
	if (streq(f->name, "ascii-ci"))
		strlist_add(argv, has ? "version=ci" : "version=2");
	else if (streq(f->name, "attr2"))
		strlist_add(argv, has ? "attr=2" : "attr=1");
	else
		strlist_addf(argv, "%s=%d", f->suboption, has);
}

static void add_geometry(struct strlist *argv, const struct content *c)
{
	uint64_t block_size = xfs_block_size(c), blocks = content_number(c, "blocks");
	uint64_t group = content_number(c, "group-blocks"), unit = content_number(c, "stripe-unit");

	add_option(argv, "-b", "size", block_size);
	if (blocks)
		add_option(argv, "-d", "size", blocks * block_size);
	if (group)
		add_option(argv, "-d", "agsize", group * block_size);
	if (unit) {
		add_option(argv, "-d", "sunit", unit * (block_size / 512));
		add_option(argv, "-d", "swidth", content_number(c, "stripe-width") * (block_size / 512));
	} else {
		strlist_add_words(argv, "-d noalign"); /* whatever the new disk says of itself */
	}
	if (content_number(c, "inode-size"))
		add_option(argv, "-i", "size", content_number(c, "inode-size"));
	if (key_values_get(&c->parameters, "inode-percent"))
		add_option(argv, "-i", "maxpct", content_number(c, "inode-percent"));
	if (content_number(c, "directory-block-size"))
		add_option(argv, "-n", "size", content_number(c, "directory-block-size"));
}

static void add_log(struct strlist *argv, const struct content *c)
{
	if (content_number(c, "log-version"))
		add_option(argv, "-l", "version", content_number(c, "log-version"));
	if (content_number(c, "log-blocks"))
		add_option(argv, "-l", "size", content_number(c, "log-blocks") * xfs_block_size(c));
	if (key_values_get(&c->parameters, "log-group"))
		add_option(argv, "-l", "agnum", content_number(c, "log-group"));
	if (content_number(c, "log-stripe"))
		add_option(argv, "-l", "su", content_number(c, "log-stripe"));
}

/* What mkfs.xfs since 5.19 does not make of its own accord: with the log that older ones made, say. */
static bool is_small(const struct content *c)
{
	uint64_t blocks = content_number(c, "blocks"), log = content_number(c, "log-blocks");

	return (blocks && (xfs_size(c) < least_mib * mib || blocks <= content_number(c, "group-blocks"))) ||
	       (log && log * xfs_block_size(c) < least_log_mib * mib);
}

/* Older ones make it without being told to, and do not know the word. */
static bool knows_unsupported(void)
{
	static const char *const argv[] = { "mkfs.xfs", "--unsupported", "-V", NULL };
	_cleanup_(free) char *version = NULL;
	struct error ignored; /* it does not */

	return proc_capture(argv, NULL, &version, &ignored) == 0;
}

static int run_mkfs(const char *node, const struct content *c, const struct strlist *unwanted, bool write,
		    struct error *e)
{
	_cleanup_(strlist) struct strlist argv = { 0 };
	uint64_t sector = sector_size(node, c);

	strlist_add_words(&argv, write ? "mkfs.xfs -q -f" : "mkfs.xfs -N -f");
	if (is_small(c) && knows_unsupported())
		strlist_add(&argv, "--unsupported");
	if (sector)
		add_option(&argv, "-s", "size", sector);
	for (size_t i = 0; i < feature_count; i++)
		add_feature(&argv, c, &features[i], unwanted);
	add_geometry(&argv, c);
	add_log(&argv, c);
	if (c->uuid) {
		strlist_add(&argv, "-m");
		strlist_addf(&argv, "uuid=%s", c->uuid);
	}
	if (c->label) {
		strlist_add(&argv, "-L");
		strlist_add(&argv, c->label);
	}
	strlist_add(&argv, node);
	return proc_run((const char *const *)argv.items, NULL, e);
}

/* What was left to mkfs.xfs; the sectors of another disk, and what follows from them. */
static bool may_differ(const char *key, const char *wanted)
{
	bool left = streq(wanted, "0") &&
		    (streq(key, "blocks") || streq(key, "group-blocks") || streq(key, "log-blocks"));

	return left || streq(key, "sector-size") || streq(key, "log-stripe");
}

/* Features that are there, but are not wanted. */
static void find_unwanted(const struct content *made, const struct content *c, struct strlist *ret)
{
	for (size_t i = 0; i < feature_count; i++)
		if (has_feature(made, features[i].name) && !has_feature(c, features[i].name))
			strlist_add(ret, features[i].name);
}

static int compare(const char *node, const struct content *made, const struct content *c, struct error *e)
{
	for (size_t i = 0; i < c->parameters.count; i++) {
		const struct key_value *wanted = &c->parameters.items[i];
		const char *got = key_values_get(&made->parameters, wanted->key);

		if (!streq(got ? got : "", wanted->value) && !may_differ(wanted->key, wanted->value))
			return error_text(e, EINVAL,
					  "mkfs.xfs made %s with %s = %s, where %s was to be: this version "
					  "cannot make that file system",
					  node, wanted->key, got ? got : "nothing", wanted->value);
	}
	return 0;
}

static int look_back(const char *node, struct content *ret, struct error *e)
{
	struct superblock s;
	int r = read_superblock(node, &s, e);

	if (r == 0)
		r = check_superblock(node, &s, e);
	if (r == 0)
		describe_superblock(&s, ret);
	return r;
}

/* Twice when this mkfs.xfs has ideas of its own that are younger than the file system. */
static int xfs_make(const char *node, const struct content *c, struct error *e)
{
	_cleanup_(strlist) struct strlist none = { 0 }, unwanted = { 0 };
	struct content made = { 0 };
	int r = run_mkfs(node, c, &none, true, e);

	if (r == 0)
		r = look_back(node, &made, e);
	if (r == 0)
		find_unwanted(&made, c, &unwanted);
	if (r == 0 && unwanted.count) {
		r = run_mkfs(node, c, &unwanted, true, e);
		if (r == 0)
			r = look_back(node, &made, e);
	}
	if (r == 0)
		r = compare(node, &made, c, e);
	key_values_free(&made.parameters);
	return r;
}

/* All numbers are checked without writing; what is read back is as right for a large one, whose log alone is up to
 * two gigabytes of zeros. */
static int xfs_try(const char *file, const struct content *c, struct error *e)
{
	uint64_t log = content_number(c, "log-blocks");
	_cleanup_(strlist) struct strlist none = { 0 };
	int r = run_mkfs(file, c, &none, false, e);

	return r == 0 && log && log * xfs_block_size(c) <= 2 * least_log_mib * mib ? xfs_make(file, c, e) : r;
}

const struct fs_ops fs_xfs = {
	.types = types,
	.kind = CONTENT_FILESYSTEM,
	.mount_type = "xfs",
	.mount_data = "nouuid", /* the old disk may be mounted beside it */
	.method = "archive",
	.keys = keys,
	.check_uuid = check_uuid,
	.uuid_expected = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx in hexadecimal digits",
	.describe = xfs_describe,
	.minimum = xfs_minimum,
	.size = xfs_size,
	.resize = xfs_resize,
	.block_size = xfs_block_size,
	.make = xfs_make,
	.try = xfs_try,
};
