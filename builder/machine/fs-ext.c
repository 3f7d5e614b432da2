/* ext2, ext3, ext4: described by dumpe2fs(8), made by mke2fs(8), finished by tune2fs(8). */
#include "machine/fs.h"

#include "base/proc.h"
#include "machine/text.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static const char *const types[] = { "ext4", "ext3", "ext2", NULL };

static int check_signed(const char *value)
{
	return check_number(value + (*value == '-'));
}

static int check_words(const char *value)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_- ";

	return value[strspn(value, allowed)] ? -EINVAL : 0;
}

static int check_errors(const char *value)
{
	return streq(value, "continue") || streq(value, "remount-ro") || streq(value, "panic") ? 0 : -EINVAL;
}

static int check_block_size(const char *value)
{
	uint64_t v;

	if (parse_u64(value, &v) < 0 || v < 1024 || v > 65536 || (v & (v - 1)))
		return -EINVAL;
	return 0;
}

/* Whose usage is counted in hidden files, with the feature "quota": mke2fs's words, and dumpe2fs's. */
static const struct {
	const char *name, *heading;
} quotas[] = {
	{ "usr", "User quota inode" },
	{ "grp", "Group quota inode" },
	{ "prj", "Project quota inode" },
};
enum { quota_count = sizeof(quotas) / sizeof(*quotas) };

static bool is_quota(const char *word)
{
	for (size_t i = 0; i < quota_count; i++)
		if (streq(word, quotas[i].name))
			return true;
	return false;
}

static int check_quotas(const char *value)
{
	return check_each_word(value, is_quota);
}

static const struct ini_key keys[] = {
	{ "fs.block-size", "1024, 2048, 4096 … 65536", check_block_size },
	{ "fs.blocks", "a number of blocks", check_number },
	{ "fs.inodes", "a number of inodes", check_number },
	{ "fs.inodes-used", "a number of inodes", check_number },
	{ "fs.inode-size", "a number of bytes", check_number },
	{ "fs.features", "names that mke2fs -O knows, with blanks between", check_words },
	{ "fs.blocks-per-group", "a number of blocks", check_number },
	{ "fs.flex-group", "a number of groups", check_number },
	{ "fs.reserved-gdt", "a number of blocks", check_number },
	{ "fs.journal-mib", "a number of MiB", check_number },
	{ "fs.hash", "a hash that tune2fs -E hash_alg knows", check_words },
	{ "fs.hash-seed", "a UUID", check_uuid },
	{ "fs.stride", "a number of blocks", check_number },
	{ "fs.stripe-width", "a number of blocks", check_number },
	{ "fs.errors", "continue, remount-ro or panic", check_errors },
	{ "fs.mount-options", "names that tune2fs -o knows, with blanks between", check_words },
	{ "fs.reserved-blocks", "a number of blocks", check_number },
	{ "fs.reserved-uid", "a user number", check_number },
	{ "fs.reserved-gid", "a group number", check_number },
	{ "fs.max-mounts", "a number of mounts, or -1", check_signed },
	{ "fs.check-interval", "a number of seconds", check_number },
	{ "fs.quotas", "usr, grp and prj, with blanks between", check_quotas },
	{ NULL, NULL, NULL },
};

/* dumpe2fs's lines and the parameters they become. "Rest" of a number ("0 (user root)") is cut. */
static const struct {
	const char *heading, *key;
	bool number;
} lines[] = {
	{ "Block size", "block-size", true },
	{ "Block count", "blocks", true },
	{ "Inode count", "inodes", true },
	{ "Inode size", "inode-size", true },
	{ "Blocks per group", "blocks-per-group", true },
	{ "Flex block group size", "flex-group", true },
	{ "Reserved GDT blocks", "reserved-gdt", true },
	{ "Default directory hash", "hash", false },
	{ "Directory Hash Seed", "hash-seed", false },
	{ "RAID stride", "stride", true },
	{ "RAID stripe width", "stripe-width", true },
	{ "Reserved block count", "reserved-blocks", true },
	{ "Reserved blocks uid", "reserved-uid", true },
	{ "Reserved blocks gid", "reserved-gid", true },
	{ "Maximum mount count", "max-mounts", true },
	{ "Check interval", "check-interval", true },
};

/* With these dump(8) writes wrong content, or restore(8) dies: such a file system is archived. */
static const char *const undumpable[] = { "inline_data", "ea_inode" };

/* What keeps a file system from being rebuilt, by feature: it ties the content to this very one. */
static const struct {
	const char *feature, *why;
} refused[] = {
	{ "bigalloc", "dump cannot read it, and its clusters are not described" },
	{ "encrypt", "its keys cannot be carried over" },
	{ "verity", "its signatures cannot be carried over" },
	{ "casefold", "no backup carries its folders' flags" },
	{ "stable_inodes", "inode numbers cannot be kept" },
	{ "journal_dev", "it is another file system's journal" },
};

/* Told by the running kernel, not by mke2fs. */
static bool is_state(const char *feature)
{
	return streq(feature, "needs_recovery") || streq(feature, "orphan_present");
}

/* The value behind "HEADING:" in dumpe2fs's text, or NULL. The caller frees. */
static char *line_value(const char *text, const char *heading)
{
	size_t n = strlen(heading);

	for (const char *p = text; p; p = strchr(p, '\n')) {
		p += *p == '\n';
		if (strncmp(p, heading, n) != 0 || p[n] != ':')
			continue;
		_cleanup_(free) char *line = xstrndup(p + n + 1, strcspn(p + n + 1, "\n"));

		return xstrdup(str_strip(line));
	}
	return NULL;
}

static uint64_t line_number(const char *text, const char *heading)
{
	_cleanup_(free) char *value = line_value(text, heading);
	uint64_t v = 0;

	if (value)
		value[strcspn(value, " k")] = '\0';
	return value && parse_u64(value, &v) == 0 ? v : 0;
}

static int describe_features(const char *node, const char *text, struct content *c, struct error *e)
{
	_cleanup_(free) char *value = line_value(text, "Filesystem features");
	_cleanup_(strlist) struct strlist all = { 0 }, kept = { 0 };

	strlist_add_words(&all, value && !streq(value, "(none)") ? value : "");
	for (size_t i = 0; i < all.count; i++) {
		for (size_t k = 0; k < sizeof(refused) / sizeof(*refused); k++)
			if (streq(all.items[i], refused[k].feature))
				return error_text(e, EOPNOTSUPP,
						  "%s: %s with the feature %s cannot be rebuilt yet: %s",
						  node, c->type, refused[k].feature, refused[k].why);
		for (size_t k = 0; k < sizeof(undumpable) / sizeof(*undumpable) && !c->method; k++)
			if (streq(all.items[i], undumpable[k]))
				c->method = xstrdup("archive");
		if (str_after(all.items[i], "FEATURE_"))
			return error_text(
				e, EOPNOTSUPP,
				"%s: %s has a feature that this machine's e2fsprogs does not know (%s)", node,
				c->type, all.items[i]);
		if (!is_state(all.items[i]))
			strlist_add(&kept, all.items[i]);
	}
	_cleanup_(free) char *external = line_value(text, "Journal device");

	if (external)
		return error_text(e, EOPNOTSUPP,
				  "%s: %s with its journal on another device cannot be rebuilt yet", node,
				  c->type);
	_cleanup_(free) char *features = strlist_join(&kept, " ");

	key_values_set(&c->parameters, "features", features);
	return 0;
}

static void describe_tunables(const char *text, struct content *c)
{
	_cleanup_(free) char *errors = line_value(text, "Errors behavior");
	_cleanup_(free) char *options = line_value(text, "Default mount options");
	uint64_t journal = line_number(text, "Total journal blocks");

	if (errors)
		key_values_set(&c->parameters, "errors",
			       streq(errors, "Panic")               ? "panic"
			       : streq(errors, "Remount read-only") ? "remount-ro"
								    : "continue");
	if (options)
		key_values_set(&c->parameters, "mount-options", streq(options, "(none)") ? "" : options);
	if (!journal)
		journal = line_number(text, "Journal length"); /* e2fsprogs before 1.46 */
	if (journal)
		content_set_number(c, "journal-mib", journal * content_number(c, "block-size") >> 20);
}

/* Usage is counted anew as files come back; limits are in no file that a backup reads. */
static void describe_quotas(const char *node, const char *text, struct content *c, struct report *report)
{
	_cleanup_(strbuf) struct strbuf b = { 0 };

	for (size_t i = 0; i < quota_count; i++) {
		_cleanup_(free) char *inode = line_value(text, quotas[i].heading);

		if (inode)
			strbuf_printf(&b, "%s%s", b.len ? " " : "", quotas[i].name);
	}
	if (b.len) {
		key_values_set(&c->parameters, "quotas", b.data);
		report_warn(report,
			    "%s: quotas (%s) are counted again on the recovered system, but their limits are "
			    "not in "
			    "the backup: keep what repquota(8) says",
			    node, b.data);
	}
	if (content_has_word(c, "features", "project"))
		report_warn(
			report,
			"%s: the project numbers of files are not in the backup: keep what lsattr -Rp says",
			node);
}

/* The cache of a device holds pages. While a file system is mounted, a page with a block of its own structures stays
 * there, and with smaller blocks also what was in the blocks beside it when it was read: dump, which reads the
 * device, would back that up instead of the file that has been written there since. */
static void avoid_stale_pages(struct content *c)
{
	long page = sysconf(_SC_PAGESIZE);

	if (!c->method && page > 0 && content_number(c, "block-size") < (uint64_t)page)
		c->method = xstrdup("archive");
}

static int ext_describe(const char *node, const char *folder, struct content *c, struct report *report,
			struct error *e)
{
	static const char *const env[] = { "LC_ALL=C", NULL };
	const char *argv[] = { "dumpe2fs", "-h", node, NULL };
	_cleanup_(free) char *text = NULL;
	int r = proc_capture(argv, &(struct proc_options) { .env = env }, &text, e);

	if (r < 0)
		return r;
	r = describe_features(node, text, c, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		_cleanup_(free) char *value = line_value(text, lines[i].heading);

		if (value && lines[i].number)
			value[strcspn(value, " ")] = '\0';
		if (value && *value)
			key_values_set(&c->parameters, lines[i].key, value);
	}
	describe_tunables(text, c);
	describe_quotas(node, text, c, report);
	uint64_t block_size = content_number(c, "block-size"), blocks = content_number(c, "blocks");
	uint64_t free_blocks = line_number(text, "Free blocks");
	uint64_t free_inodes = line_number(text, "Free inodes");
	struct statvfs now;

	if (!block_size || !blocks)
		return error_text(e, EINVAL, "%s: dumpe2fs told neither block size nor block count", node);
	/* While it is mounted the counts in the superblock are old. */
	if (folder) {
		if (statvfs(folder, &now) < 0)
			return error_errno(e, errno, "read the free space of %s", folder);
		free_blocks = now.f_bfree * now.f_frsize / block_size;
		free_inodes = now.f_ffree;
	}
	if (free_blocks > blocks || free_inodes > content_number(c, "inodes"))
		return error_text(e, EINVAL, "%s: broken superblock: more is free than there is", node);
	avoid_stale_pages(c);
	content_set_number(c, "inodes-used", content_number(c, "inodes") - free_inodes);
	c->used = (blocks - free_blocks) * block_size;
	return 0;
}

/* The blocks in use (with the present inode tables and journal), a tenth, and room for a boot's logs. */
static uint64_t ext_minimum(const struct content *c)
{
	return c->used ? c->used + c->used / 10 + (64 << 20) : 0;
}

static uint64_t ext_block_size(const struct content *c)
{
	uint64_t v = content_number(c, "block-size");

	return v ? v : 4096;
}

static uint64_t ext_size(const struct content *c)
{
	uint64_t size;

	return __builtin_mul_overflow(content_number(c, "blocks"), ext_block_size(c), &size) ? UINT64_MAX
											     : size;
}

/* v * num / den without overflow for the sizes of disks. */
static uint64_t scaled(uint64_t v, uint64_t num, uint64_t den)
{
	return (uint64_t)((unsigned __int128)v * num / den);
}

static bool has_feature(const struct content *c, const char *feature)
{
	const char *all = key_values_get(&c->parameters, "features");
	_cleanup_(strlist) struct strlist list = { 0 };

	strlist_add_words(&list, all ? all : "");
	return strlist_has(&list, feature);
}

static void ext_resize(struct content *c, uint64_t old_size, uint64_t new_size)
{
	uint64_t blocks = content_number(c, "blocks"), wanted = new_size / ext_block_size(c);
	uint64_t inodes_used = content_number(c, "inodes-used");

	/* without wider numbers the rest stays unused */
	if (!has_feature(c, "64bit") && wanted > UINT32_MAX)
		wanted = UINT32_MAX;
	/* it need not have filled its device */
	if (!blocks || (wanted >= blocks && new_size <= old_size) || wanted == blocks)
		return;
	uint64_t inodes = scaled(content_number(c, "inodes"), wanted, blocks);
	uint64_t needed = inodes_used + inodes_used / 10 + 16;

	if (inodes > UINT32_MAX)
		inodes = UINT32_MAX;

	content_set_number(c, "blocks", wanted);
	if (content_number(c, "inodes"))
		content_set_number(c, "inodes", inodes > needed ? inodes : needed);
	content_set_number(c, "reserved-blocks",
			   scaled(content_number(c, "reserved-blocks"), wanted, blocks));
	/* mke2fs knows what suits the other size */
	content_set_number(c, "journal-mib", 0);
	content_set_number(c, "reserved-gdt", 0);
}

/* mke2fs is told to how many blocks the file system may grow, and reserves descriptor blocks for it;
 * this is the number that yields the reserve there was. 0: leave it to mke2fs. */
static uint64_t resize_limit(const struct content *c)
{
	uint64_t reserved = content_number(c, "reserved-gdt"), blocks = content_number(c, "blocks");
	uint64_t per_group = content_number(c, "blocks-per-group");
	uint64_t per_block = ext_block_size(c) / (has_feature(c, "64bit") ? 64 : 32);

	if (!reserved || !blocks || !per_group || !has_feature(c, "resize_inode"))
		return 0;
	uint64_t groups = (blocks + per_group - 1) / per_group;
	uint64_t now = (groups + per_block - 1) / per_block;
	unsigned __int128 limit = (unsigned __int128)(now + reserved) * per_block * per_group;

	return limit > UINT32_MAX ? 0 : (uint64_t)limit;
}

/* Adds "FLAG VALUE" when the parameter is set; 0 counts as unset. */
static void add_number(struct strlist *argv, const char *flag, const struct content *c, const char *key)
{
	uint64_t v = content_number(c, key);

	if (!v)
		return;
	strlist_add(argv, flag);
	strlist_addf(argv, "%llu", (unsigned long long)v);
}

/* How much of it: all, less the writing of what only takes time and room, or nothing but the numbers. */
enum effort { MAKE, MAKE_LAZILY, RECKON };

static void add_extended(struct strlist *argv, const struct content *c, enum effort effort)
{
	const char *seed = key_values_get(&c->parameters, "hash-seed"),
		   *quota = key_values_get(&c->parameters, "quotas");
	uint64_t stride = content_number(c, "stride"), width = content_number(c, "stripe-width");
	uint64_t limit = resize_limit(c);
	_cleanup_(strbuf) struct strbuf b = { 0 };

	strbuf_puts(&b, "root_owner=0:0");
	if (seed)
		strbuf_printf(&b, ",hash_seed=%s", seed);
	/* also where there is none: else mke2fs takes what the new disk says of itself */
	strbuf_printf(&b, ",stride=%llu,stripe_width=%llu", (unsigned long long)stride,
		      (unsigned long long)width);
	if (limit)
		strbuf_printf(&b, ",resize=%llu", (unsigned long long)limit);
	if (quota && has_feature(c, "quota")) {
		_cleanup_(strlist) struct strlist words = { 0 };

		strlist_add_words(&words, quota);
		for (size_t i = 0; i < words.count; i++)
			strbuf_printf(&b, "%s%squota", i ? ":" : ",quotatype=", words.items[i]);
	}
	if (effort == MAKE_LAZILY)
		strbuf_puts(&b, ",nodiscard,lazy_itable_init=1,lazy_journal_init=1");
	strlist_add(argv, "-E");
	strlist_add(argv, b.data);
}

/* "none,a,b": exactly these, whatever mke2fs.conf says here. */
static void add_features(struct strlist *argv, const struct content *c)
{
	const char *all = key_values_get(&c->parameters, "features");
	_cleanup_(strlist) struct strlist list = { 0 };

	if (!all)
		return;
	strlist_add(&list, "none");
	strlist_add_words(&list, all);
	strlist_add(argv, "-O");
	strlist_take(argv, strlist_join(&list, ","));
}

static void add_mke2fs(const char *node, const struct content *c, enum effort effort, struct commands *ret)
{
	const char *errors = key_values_get(&c->parameters, "errors");
	uint64_t journal = content_number(c, "journal-mib"), blocks = content_number(c, "blocks");
	struct strlist *argv = commands_add(ret);

	strlist_add_words(argv, "mke2fs -q -F -t");
	strlist_add(argv, c->type);
	if (effort == RECKON)
		strlist_add(argv, "-n");
	add_features(argv, c);
	add_number(argv, "-b", c, "block-size");
	add_number(argv, "-I", c, "inode-size");
	add_number(argv, "-N", c, "inodes");
	add_number(argv, "-g", c, "blocks-per-group");
	if (has_feature(c, "flex_bg"))
		add_number(argv, "-G", c, "flex-group");
	if (journal && has_feature(c, "has_journal")) {
		strlist_add(argv, "-J");
		strlist_addf(argv, "size=%llu", (unsigned long long)journal);
	}
	if (errors) {
		strlist_add(argv, "-e");
		strlist_add(argv, errors);
	}
	add_extended(argv, c, effort);
	if (c->uuid) {
		strlist_add(argv, "-U");
		strlist_add(argv, c->uuid);
	}
	if (c->label &&
	    *c->label) /* in one word: a person's label never begins one (page_node_word() of cmd/) */
		strlist_addf(argv, "-L%s", c->label);
	strlist_add(argv, node);
	if (blocks)
		strlist_addf(argv, "%llu", (unsigned long long)blocks);
}

/* What mke2fs takes from its configuration or only as a percentage. */
static void add_tune2fs(const char *node, const struct content *c, struct commands *ret)
{
	static const struct {
		const char *key, *flag, *suffix;
	} tunables[] = {
		{ "reserved-blocks", "-r", "" }, { "reserved-uid", "-u", "" },
		{ "reserved-gid", "-g", "" },    { "max-mounts", "-c", "" },
		{ "check-interval", "-i", "s" },
	};
	const char *hash = key_values_get(&c->parameters, "hash");
	const char *options = key_values_get(&c->parameters, "mount-options");
	_cleanup_(strlist) struct strlist all = { 0 };

	for (size_t i = 0; i < sizeof(tunables) / sizeof(*tunables); i++) {
		const char *value = key_values_get(&c->parameters, tunables[i].key);

		if (value)
			strlist_addf(&all, "%s%s%s", tunables[i].flag, value, tunables[i].suffix);
	}
	if (hash)
		strlist_addf(&all, "-Ehash_alg=%s", hash);
	if (options) {
		_cleanup_(strlist) struct strlist words = { 0 };

		strlist_add_words(&words, "^acl ^user_xattr"); /* what mke2fs.conf may have set */
		strlist_add_words(&words, options);
		strlist_add(&all, "-o");
		strlist_take(&all, strlist_join(&words, ","));
	}
	if (!all.count)
		return;
	struct strlist *argv = commands_add(ret);

	strlist_add(argv, "tune2fs");
	for (size_t i = 0; i < all.count; i++)
		strlist_add(argv, all.items[i]);
	strlist_add(argv, node);
}

static void ext_commands(const char *node, const struct content *c, struct commands *ret)
{
	add_mke2fs(node, c, MAKE, ret);
	add_tune2fs(node, c, ret);
}

/* What they say for nothing would come last, behind the reason of a failure: tune2fs greets. */
static int run(const struct commands *all, struct error *e)
{
	int r = 0;

	for (size_t i = 0; i < all->count && r == 0; i++) {
		_cleanup_(free) char *said = NULL;

		r = proc_capture((const char *const *)all->items[i].items, NULL, &said, e);
	}
	return r;
}

static int ext_make(const char *node, const struct content *c, struct error *e)
{
	_cleanup_(commands) struct commands all = { 0 };

	ext_commands(node, c, &all);
	return run(&all, e);
}

/* All numbers are reckoned for the whole size. What is written (features, tunables) is the same for every size, so
 * for a large one a smaller one does: an ext2 of 10 TB would take 40 s and 700 MB. */
static int ext_try(const char *file, const struct content *c, struct error *e)
{
	static const uint64_t largest = UINT64_C(64) << 30;
	static const char *const sized[] = { "blocks", "inodes", "journal-mib", "reserved-gdt" };
	_cleanup_(commands) struct commands reckon = { 0 }, all = { 0 };
	struct content small = *c;
	struct stat st;

	add_mke2fs(file, c, RECKON, &reckon);
	int r = run(&reckon, e);

	if (r < 0)
		return r;
	if (stat(file, &st) < 0)
		return error_errno(e, errno, "look at %s", file);
	uint64_t size = (uint64_t)st.st_size;

	if (size > largest && truncate(file, (off_t)largest) < 0)
		return error_errno(e, errno, "make %s smaller", file);
	small.parameters = (struct key_values) { 0 };
	for (size_t i = 0; i < c->parameters.count; i++)
		key_values_set(&small.parameters, c->parameters.items[i].key, c->parameters.items[i].value);
	for (size_t i = 0; i < sizeof(sized) / sizeof(*sized) && size > largest; i++)
		if (key_values_get(&small.parameters, sized[i]))
			content_set_number(&small, sized[i], 0); /* mke2fs's choice */
	if (key_values_get(&small.parameters, "reserved-blocks") && size > largest)
		content_set_number(&small, "reserved-blocks",
				   scaled(content_number(c, "reserved-blocks"), largest, size));
	add_mke2fs(file, &small, MAKE_LAZILY, &all);
	add_tune2fs(file, &small, &all);
	key_values_free(&small.parameters);
	return run(&all, e);
}

const struct fs_ops fs_ext = {
	.types = types,
	.kind = CONTENT_FILESYSTEM,
	.mount_type = "ext4", /* the driver of all three */
	.method = "dump",
	.keys = keys,
	.check_uuid = check_uuid,
	.uuid_expected = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx in hexadecimal digits",
	.describe = ext_describe,
	.minimum = ext_minimum,
	.size = ext_size,
	.resize = ext_resize,
	.block_size = ext_block_size,
	.commands = ext_commands,
	.make = ext_make,
	.try = ext_try,
};
