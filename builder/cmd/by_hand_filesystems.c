/* File systems and swap, made empty. */
#include "cmd/by_hand_page.h"

#include "machine/btrfs.h"
#include "machine/btrfs_profile.h"
#include "machine/fs.h"

static void put_swap(struct strbuf *b, const struct device *d)
{
	const struct content *c = &d->content;
	strbuf_puts(b, "mkswap");
	page_option(b, "-U", c->uuid);
	page_option(b, "-L", c->label);
}

static void put_vfat(struct strbuf *b, const struct device *d)
{
	const struct content *c = &d->content;
	strbuf_puts(b, "mkfs.vfat");
	page_option(b, "-F", key_values_get(&c->parameters, "bits"));
	if (c->uuid && strlen(c->uuid) == 9) /* XXXX-XXXX, without the dash */
		strbuf_printf(b, " -i %.4s%s", c->uuid, c->uuid + 5);
	page_option(b, "-n", c->label);
}

static void put_choices(struct strbuf *b, const struct content *c, const char *flag,
			const char *const names[])
{
	const char *features = key_values_get(&c->parameters, "features");
	_cleanup_(strlist) struct strlist has = { 0 };

	strlist_add_words(&has, features ? features : "");
	for (size_t i = 0; features && names[i]; i++)
		strbuf_printf(b, "%s%s=%d", i ? "," : flag, names[i], strlist_has(&has, names[i]));
}

/* What a boot loader or a kernel may not know is as it was. */
static void put_xfs(struct strbuf *b, const struct device *d)
{
	const struct content *c = &d->content;
	static const char *const global[] = { "crc",     "finobt",     "rmapbt", "reflink",
					      "bigtime", "inobtcount", NULL };
	static const char *const inodes[] = { "sparse", NULL };
	const char *block = key_values_get(&c->parameters, "block-size");
	const char *inode = key_values_get(&c->parameters, "inode-size");

	strbuf_puts(b, "mkfs.xfs -q -f");
	put_choices(b, c, " -m ", global);
	put_choices(b, c, " -i ", inodes);
	if (block)
		strbuf_printf(b, " -b size=%s", block);
	if (inode)
		strbuf_printf(b, " -i size=%s", inode);
	if (c->uuid)
		strbuf_printf(b, " -m uuid=%s", c->uuid);
	page_option(b, "-L", c->label);
}

static void put_btrfs(struct strbuf *b, const struct device *d)
{
	const struct content *c = &d->content;

	strbuf_puts(b, "mkfs.btrfs -q -f");
	page_option(b, "--csum", key_values_get(&c->parameters, "checksum"));
	page_option(b, "-n", key_values_get(&c->parameters, "node-size"));
	page_option(b, "-d", btrfs_profile_there(d, "data"));
	page_option(b, "-m", btrfs_profile_there(d, "metadata"));
	if (content_has_word(c, "features", "mixed-bg"))
		strbuf_puts(b, " -M");
	page_option(b, "-U", c->uuid);
	page_option(b, "-L", c->label);
}

static void put_devices(struct strbuf *b, const struct device *d)
{
	for (size_t i = 0; i < d->below_count; i++) {
		if (!d->below[i])
			continue;
		strbuf_puts(b, " ");
		page_node(b, d->below[i]);
	}
	strbuf_puts(b, "\n");
}

/* The kernel is told of all devices, and each is made as small as it was, if it was smaller than its device. */
static void put_spread(struct strbuf *b, const struct device *d)
{
	size_t id = 0;

	strbuf_puts(b, "btrfs device scan\n");
	for (size_t i = 0; i < d->below_count; i++) {
		uint64_t size = d->btrfs.devices[i].size;

		id += d->below[i] != NULL;
		if (!d->below[i] || !size || size + 4096 > d->below[i]->size)
			continue;
		strbuf_puts(b, "mkdir -p /mnt/top && mount ");
		page_node(b, d);
		strbuf_printf(b,
			      " /mnt/top && btrfs filesystem resize %zu:%llu /mnt/top && umount /mnt/top\n",
			      id, (unsigned long long)size);
	}
}

static bool is_among(struct device *const all[], size_t count, const struct device *d)
{
	for (size_t i = 0; i < count; i++)
		if (all[i] == d)
			return true;
	return false;
}

/* The commands that make the subvolumes of the fresh btrfs on `d`, through its top level. */
static void put_subvolumes(struct strbuf *b, const struct machine *m, const struct device *d,
			   const struct source *source)
{
	_cleanup_(free) struct device **received = NULL;
	size_t count = 0;
	struct error ignored; /* machine.conf is of a backup that has chosen the order */

	(void)btrfs_received(m, d, &received, &count, &ignored);
	strbuf_puts(b, "mkdir -p /mnt/top && mount -o subvolid=5 ");
	page_node(b, d);
	strbuf_puts(b, " /mnt/top\n");
	for (size_t i = 0; i < count; i++) {
		const char *stream = received[i]->content.stream;

		strbuf_printf(b, "mkdir -p /mnt/top/" BTRFS_RECEIVED "/%s && ", stream);
		page_stream(b, source->files, "", stream, received[i]->content.method);
		strbuf_printf(b, " | btrfs receive /mnt/top/" BTRFS_RECEIVED "/%s\n", stream);
	}
	for (size_t i = 0; i < m->count; i++) {
		const struct device *s = m->devices[i];

		if (s->kind != DEVICE_SUBVOLUME || s->parent != d || streq(s->subvolume.path, "/"))
			continue;
		_cleanup_(free) char *path = xasprintf("/mnt/top%s", s->subvolume.path);
		_cleanup_(free) char *folder = xstrndup(path, (size_t)(strrchr(path, '/') - path));

		strbuf_puts(b, "mkdir -p ");
		page_quote(b, folder);
		if (is_among(received, count, s))
			strbuf_printf(b,
				      " && btrfs subvolume snapshot \"$(find /mnt/top/" BTRFS_RECEIVED
				      "/%s -mindepth 1 -maxdepth 1)\" ",
				      s->content.stream);
		else
			strbuf_puts(b, " && btrfs subvolume create ");
		page_quote(b, path);
		if (s->subvolume.is_default) {
			strbuf_puts(b, " && btrfs subvolume set-default ");
			page_quote(b, path);
		}
		strbuf_puts(b, "\n");
	}
	if (count)
		strbuf_puts(
			b,
			"for i in /mnt/top/" BTRFS_RECEIVED "/*; do "
			"btrfs subvolume delete \"$(find \"$i\" -mindepth 1 -maxdepth 1)\" && rmdir \"$i\" "
			"|| exit 1; done\nrmdir /mnt/top/" BTRFS_RECEIVED "\n");
	strbuf_puts(b, "umount /mnt/top\n");
}

static const struct {
	const char *type;
	void (*put)(struct strbuf *b, const struct device *d);
} makers[] = { { "btrfs", put_btrfs }, { "swap", put_swap }, { "vfat", put_vfat }, { "xfs", put_xfs } };

/* What make() does is more than people type, but not much more. */
static void put_shorter(struct strbuf *b, const struct machine *m, const struct device *d,
			const struct source *s)
{
	for (size_t j = 0; j < sizeof(makers) / sizeof(*makers); j++) {
		if (!streq(makers[j].type, d->content.type))
			continue;
		if (d->kind == DEVICE_BTRFS) /* or those of the same UUID that are gone stand in its way */
			strbuf_puts(b, "btrfs device scan --forget\n");
		makers[j].put(b, d);
		if (d->kind == DEVICE_BTRFS) {
			put_devices(b, d);
			put_spread(b, d);
		} else {
			strbuf_puts(b, " ");
			page_node(b, d);
			strbuf_puts(b, "\n");
		}
		if (streq(d->content.type, "btrfs"))
			put_subvolumes(b, m, d, s);
	}
}

void page_filesystems(struct strbuf *b, const struct machine *m, const struct source *s)
{
	strbuf_puts(b, "# 4. File systems and swap, with the identifiers that they had.\n\n");
	for (size_t i = 0; i < m->count; i++) {
		const struct device *d = m->devices[i];
		const struct content *c = &d->content;
		const struct fs_ops *ops = c->type ? fs_find(c->type) : NULL;
		_cleanup_(commands) struct commands all = { 0 };
		_cleanup_(free) char *node = NULL;

		if (!ops || (c->kind != CONTENT_FILESYSTEM && c->kind != CONTENT_SWAP))
			continue;
		if (!ops->commands) {
			put_shorter(b, m, d, s);
			continue;
		}
		node = page_node_word(NULL, d);
		ops->commands(node, c, &all);
		page_commands(b, &all);
	}
	strbuf_puts(b, "\n");
}
