#include "cmd/by_hand.h"

#include "backup/age.h"
#include "machine/btrfs.h"
#include "machine/layers.h"

#include <ctype.h>

/* ---- words for the shell ---- */

static void quote(struct strbuf *b, const char *s)
{
	if (s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./,=:+@")] == '\0' &&
	    *s) {
		strbuf_puts(b, s);
		return;
	}
	strbuf_puts(b, "'");
	for (; *s; s++)
		strbuf_printf(b, *s == '\'' ? "'\\''" : "%c", *s);
	strbuf_puts(b, "'");
}

static void option(struct strbuf *b, const char *flag, const char *value)
{
	if (!value)
		return;
	strbuf_printf(b, " %s ", flag);
	quote(b, value);
}

/* Text for a comment: on one line. */
static void remark(struct strbuf *b, const char *s)
{
	_cleanup_(free) char *copy = xstrdup(s ? s : "");

	strbuf_puts(b, str_printable(copy));
}

/* A disk's name as a shell variable. The caller frees. */
static char *variable(const struct device *disk)
{
	char *name = xstrdup(disk->name);

	for (char *p = name; *p; p++)
		if (!isalnum((unsigned char)*p))
			*p = '_';
	return name;
}

/* "$sda" or "${sda_part}1"; a layer has its node by its name. */
static void node(struct strbuf *b, const struct device *d)
{
	if (d->kind == DEVICE_SUBVOLUME) {
		node(b, d->parent);
		return;
	}
	if (!device_is_plain(d)) {
		_cleanup_(free) char *layer = device_node(d);

		quote(b, layer);
		return;
	}
	_cleanup_(free) char *name = variable(d->parent ? d->parent : d);

	if (d->parent)
		strbuf_printf(b, "\"${%s_part}%u\"", name, d->number);
	else
		strbuf_printf(b, "\"$%s\"", name);
}

/* ---- the parts of the page ---- */

static void put_head(struct strbuf *b, const struct machine *m, const char *shown)
{
	strbuf_puts(b, "# Recovering ");
	remark(b, m->hostname ? m->hostname : "this machine");
	strbuf_puts(b, " by hand\n#\n# Lifeboat backup ");
	remark(b, shown);
	strbuf_puts(b, ", made ");
	remark(b, m->created);
	if (m->os) {
		strbuf_puts(b, " on ");
		remark(b, m->os);
	}
	strbuf_puts(
		b,
		".\n#\n"
		"# With Lifeboat: boot its medium and choose 'recover'. Without it, any Linux rescue system\n"
		"# will do that has sha256sum, zstd, sfdisk, mke2fs, GNU tar and restore (Debian package "
		"dump).\n"
		"#\n"
		"# From a raw device (dev://) this folder comes by  tar -xf DEVICE -C FOLDER ");
	remark(b, shown);
	strbuf_puts(
		b,
		"\n#\n"
		"# Every line that does not begin with # is a command: run them in this order, as root, in\n"
		"# one shell, in the folder that holds this file, and stop at the first that fails.\n"
		"# machine.conf describes the disks in full.\n\n"
		"# In shells that can: a pipe fails when any part of it does.\n\n"
		"(set -o pipefail) 2>/dev/null && set -o pipefail\n\n"
		"# 1. Is every byte what was written?\n\n");
}

/* Of this set, and of those that it goes on from. */
static void put_sums(struct strbuf *b, const struct strlist *files)
{
	for (size_t i = 0; i < files->count; i++) {
		const char *conf = strstr(files->items[i], "/machine.conf");

		if (conf) { /* the one file that each has, once */
			strbuf_puts(b, "(cd ");
			strbuf_add(b, files->items[i], (size_t)(conf - files->items[i]));
			strbuf_puts(b, " && sha256sum --quiet --strict -c SHA256SUMS)\n");
		}
	}
	strbuf_puts(b, "sha256sum --quiet --strict -c SHA256SUMS\n\n");
}

/* A function, as what comes out of the chunks of a stream has to be one stream. Its `exit` ends the pipe's part. */
static void put_key(struct strbuf *b, const struct strlist *files)
{
	const char *listing = NULL;
	bool sealed = false;

	for (size_t i = 0; i < files->count; i++) {
		sealed |= str_ends(files->items[i], AGE_SUFFIX);
		if (str_ends(files->items[i], ".listing.zst.000" AGE_SUFFIX))
			listing = files->items[i];
	}
	if (!sealed)
		return;
	strbuf_puts(b, "# The streams are encrypted with age (Debian package age). Type where the file with "
		       "the key\n"
		       "# is, such as  key=/root/key.txt\n\n"
		       ": \"${key:?name the file with the key first}\"\n"
		       "plain() { for chunk; do age -d -i \"$key\" \"$chunk\" || exit 1; done; }\n");
	if (listing)
		strbuf_printf(b, "plain %s | zstd -q -t # is it the right key?\n", listing);
	strbuf_puts(b, "\n");
}

static bool is_sealed(const struct strlist *files, const char *set, const char *name, const char *method)
{
	_cleanup_(free) char *first = xasprintf("%s%s.%s.zst.000" AGE_SUFFIX, set, name, method);

	return strlist_has(files, first);
}

/* The plain stream, on stdout. */
static void put_stream(struct strbuf *b, const struct strlist *files, const char *set, const char *name,
		       const char *method)
{
	bool sealed = is_sealed(files, set, name, method);

	strbuf_printf(b, "%s %s%s.%s.zst.*%s | zstd -d", sealed ? "plain" : "cat", set, name, method,
		      sealed ? AGE_SUFFIX : "");
}

static void put_disks(struct strbuf *b, const struct machine *m)
{
	strbuf_puts(
		b,
		"# 2. Which disk takes whose place? EVERYTHING ON IT WILL BE LOST: look twice, with\n"
		"#        lsblk -o NAME,SIZE,MODEL,SERIAL,MOUNTPOINTS\n"
		"#    and type, for each disk below, its name and the new disk, such as  sda=/dev/vda\n\n");
	for (size_t i = 0; i < m->count; i++) {
		const struct device *d = m->devices[i];
		char size[SIZE_TEXT_MAX];

		if (d->kind != DEVICE_DISK)
			continue;
		_cleanup_(free) char *name = variable(d);

		strbuf_printf(b, "# %s was: %s%s", name, format_size(d->size, size),
			      d->identity.model ? ", " : "");
		remark(b, d->identity.model);
		strbuf_puts(b, d->identity.serial ? ", serial " : "");
		remark(b, d->identity.serial);
		strbuf_puts(b, "\n");
		strbuf_printf(b, ": \"${%s:?name the disk that takes its place first}\"\n", name);
		/* nvme0n1's partitions are nvme0n1p1 ... */
		strbuf_printf(b, "case $%s in *[0-9]) %s_part=${%s}p ;; *) %s_part=$%s ;; esac\n\n", name,
			      name, name, name, name);
	}
}

/* sfdisk's names of the attribute bits (sfdisk(8), attrs). */
static void put_attributes(struct strbuf *b, uint64_t bits)
{
	static const char *const low[] = { "RequiredPartition", "NoBlockIOProtocol", "LegacyBIOSBootable" };
	const char *between = ", attrs=\"";

	for (unsigned bit = 0; bit < 64; bit++) {
		if (!(bits >> bit & 1) || (bit >= 3 && bit < 48))
			continue;
		if (bit < 3)
			strbuf_printf(b, "%s%s", between, low[bit]);
		else
			strbuf_printf(b, "%sGUID:%u", between, bit);
		between = " ";
	}
	if (*between == ' ')
		strbuf_puts(b, "\"");
}

static void put_partition(struct strbuf *b, const struct device *disk, const struct device *d)
{
	const char *type = d->part_type ? d->part_type : "";
	const char *hex = str_after(type, "0x");

	strbuf_printf(b, "part%u : start=%llu, size=%llu, type=%s", d->number,
		      (unsigned long long)(d->start / disk->sector_size),
		      (unsigned long long)(d->size / disk->sector_size), hex ? hex : type);
	if (d->part_uuid)
		strbuf_printf(b, ", uuid=%s", d->part_uuid);
	if (d->part_name && !strpbrk(d->part_name, "\"\\\n"))
		strbuf_printf(b, ", name=\"%s\"", d->part_name);
	put_attributes(b, d->attributes);
	strbuf_printf(b, "%s\n", d->active ? ", bootable" : "");
}

static void put_tables(struct strbuf *b, const struct machine *m)
{
	strbuf_puts(b, "# 3. Partition tables. For a disk of another size, change start= and size= (in "
		       "sectors).\n\n");
	for (size_t i = 0; i < m->count; i++) {
		const struct device *disk = m->devices[i];

		if (disk->kind != DEVICE_DISK || disk->table == TABLE_NONE)
			continue;
		strbuf_puts(b, "sfdisk --quiet --wipe always --wipe-partitions always ");
		node(b, disk);
		strbuf_printf(b, " <<'END'\nlabel: %s\n", disk->table == TABLE_GPT ? "gpt" : "dos");
		if (disk->table_id)
			strbuf_printf(b, "label-id: %s\n", disk->table_id);
		strbuf_puts(b, "unit: sectors\n");
		for (size_t j = 0; j < m->count; j++)
			if (m->devices[j]->parent == disk)
				put_partition(b, disk, m->devices[j]);
		strbuf_puts(b, "END\n");
	}
	strbuf_puts(b, "udevadm settle 2>/dev/null || sleep 1\n\n");
}

/* A word of a command that stands for a device, as node() writes it; no other word begins so. */
static char *node_word(const void *user, const struct device *d)
{
	_cleanup_(strbuf) struct strbuf b = { 0 };

	(void)user; /* the names are the shell's */
	strbuf_puts(&b, "\n");
	node(&b, d);
	return TAKE_PTR(b.data);
}

static void put_commands(struct strbuf *b, const struct commands *all)
{
	for (size_t i = 0; i < all->count; i++) {
		for (size_t k = 0; k < all->items[i].count; k++) {
			const char *word = all->items[i].items[k];

			strbuf_puts(b, k ? " " : "");
			if (*word == '\n')
				strbuf_puts(b, word + 1);
			else
				quote(b, word);
		}
		strbuf_puts(b, "\n");
	}
}

static void put_crypt(struct strbuf *b, const struct device *d, const struct strlist *files,
		      struct commands *all)
{
	const struct content *below = &d->below[0]->content;

	if (below->stream) {
		put_stream(b, files, "", below->stream, below->method);
		strbuf_puts(b, " | dd bs=1M conv=fsync status=none of=");
		node(b, d->below[0]);
		strbuf_puts(b, "\n");
	} else {
		crypt_format_command(d, node_word, NULL, NULL, all);
	}
	crypt_open_command(d, node_word, NULL, NULL, all);
}

/* Arrays, LUKS devices and volume groups, each on what was made before. */
static void put_layers(struct strbuf *b, const struct machine *m, const struct strlist *files)
{
	bool any = false;

	for (size_t i = 0; i < m->count; i++) {
		const struct device *d = m->devices[i];
		_cleanup_(commands) struct commands all = { 0 };

		if (d->kind != DEVICE_RAID && d->kind != DEVICE_CRYPT && d->kind != DEVICE_GROUP)
			continue;
		if (!any)
			strbuf_puts(b, "# What is made of the partitions. Without udev, as in small rescue "
				       "systems, LVM makes\n"
				       "# its device nodes itself once it is told. Passphrases are the old "
				       "ones. Volume groups and\n"
				       "# volumes get new UUIDs here.\n\n"
				       "[ -e /run/udev/control ] || export DM_DISABLE_UDEV=1\n");
		any = true;
		if (d->kind == DEVICE_RAID)
			raid_commands(d, node_word, NULL, &all);
		else if (d->kind == DEVICE_CRYPT)
			put_crypt(b, d, files, &all);
		else
			group_commands(m, d, node_word, NULL, &all);
		put_commands(b, &all);
	}
	strbuf_puts(b, any ? "\n" : "");
}

static void put_ext(struct strbuf *b, const struct content *c)
{
	const char *features = key_values_get(&c->parameters, "features");

	strbuf_printf(b, "mke2fs -q -F -t %s", c->type);
	if (features) {
		_cleanup_(strlist) struct strlist list = { 0 };

		strlist_add(&list, "none"); /* exactly these */
		strlist_add_words(&list, features);
		_cleanup_(free) char *joined = strlist_join(&list, ",");

		option(b, "-O", joined);
	}
	option(b, "-b", key_values_get(&c->parameters, "block-size"));
	option(b, "-I", key_values_get(&c->parameters, "inode-size"));
	option(b, "-N", key_values_get(&c->parameters, "inodes"));
	option(b, "-U", c->uuid);
	option(b, "-L", c->label);
	if (key_values_get(&c->parameters, "hash-seed"))
		strbuf_printf(b, " -E hash_seed=%s", key_values_get(&c->parameters, "hash-seed"));
}

static void put_swap(struct strbuf *b, const struct content *c)
{
	strbuf_puts(b, "mkswap");
	option(b, "-U", c->uuid);
	option(b, "-L", c->label);
}

static void put_vfat(struct strbuf *b, const struct content *c)
{
	strbuf_puts(b, "mkfs.vfat");
	option(b, "-F", key_values_get(&c->parameters, "bits"));
	if (c->uuid && strlen(c->uuid) == 9) /* XXXX-XXXX, without the dash */
		strbuf_printf(b, " -i %.4s%s", c->uuid, c->uuid + 5);
	option(b, "-n", c->label);
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
static void put_xfs(struct strbuf *b, const struct content *c)
{
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
	option(b, "-L", c->label);
}

static void put_btrfs(struct strbuf *b, const struct content *c)
{
	strbuf_puts(b, "mkfs.btrfs -q -f");
	option(b, "--csum", key_values_get(&c->parameters, "checksum"));
	option(b, "-n", key_values_get(&c->parameters, "node-size"));
	option(b, "-U", c->uuid);
	option(b, "-L", c->label);
}

/* The commands that make the subvolumes of the fresh btrfs on `d`, through its top level. */
static void put_subvolumes(struct strbuf *b, const struct machine *m, const struct device *d)
{
	strbuf_puts(b, "mkdir -p /mnt/top && mount -o subvolid=5 ");
	node(b, d);
	strbuf_puts(b, " /mnt/top\n");
	for (size_t i = 0; i < m->count; i++) {
		const struct device *s = m->devices[i];

		if (s->kind != DEVICE_SUBVOLUME || s->parent != d || streq(s->subvolume.path, "/"))
			continue;
		_cleanup_(free) char *path = xasprintf("/mnt/top%s", s->subvolume.path);
		_cleanup_(free) char *folder = xstrndup(path, (size_t)(strrchr(path, '/') - path));

		strbuf_puts(b, "mkdir -p ");
		quote(b, folder);
		strbuf_puts(b, " && btrfs subvolume create ");
		quote(b, path);
		if (s->subvolume.is_default) {
			strbuf_puts(b, " && btrfs subvolume set-default ");
			quote(b, path);
		}
		strbuf_puts(b, "\n");
	}
	strbuf_puts(b, "umount /mnt/top\n");
}

static const struct {
	const char *type;
	void (*put)(struct strbuf *b, const struct content *c);
} makers[] = { { "btrfs", put_btrfs }, { "ext2", put_ext },  { "ext3", put_ext }, { "ext4", put_ext },
	       { "swap", put_swap },   { "vfat", put_vfat }, { "xfs", put_xfs } };

static void put_filesystems(struct strbuf *b, const struct machine *m)
{
	strbuf_puts(b, "# 4. File systems and swap, with the identifiers that they had.\n\n");
	for (size_t i = 0; i < m->count; i++) {
		const struct content *c = &m->devices[i]->content;

		for (size_t j = 0;
		     c->type && c->kind != CONTENT_SUBVOLUME && j < sizeof(makers) / sizeof(*makers); j++) {
			if (!streq(makers[j].type, c->type))
				continue;
			makers[j].put(b, c);
			strbuf_puts(b, " ");
			node(b, m->devices[i]);
			strbuf_puts(b, "\n");
			if (streq(c->type, "btrfs"))
				put_subvolumes(b, m, m->devices[i]);
		}
	}
	strbuf_puts(b, "\n");
}

/* ---- mounting and restoring ---- */

static int by_mountpoint(const void *a, const void *b)
{
	const char *m = (*(const struct device *const *)a)->content.mountpoint;
	const char *n = (*(const struct device *const *)b)->content.mountpoint;

	if (m && n)
		return strcmp(m, n);
	return m ? -1 : n ? 1 : 0;
}

/* Where it is mounted meanwhile: a subvolume without a place of its own beside the others. The caller frees. */
static char *below_root(const struct device *d)
{
	const struct content *c = &d->content;

	if (!c->mountpoint)
		return xasprintf("/mnt/hd.%s", d->name);
	return xasprintf("/mnt/hd%s", streq(c->mountpoint, "/") ? "" : c->mountpoint);
}

/* What is needed to say where the files of a stream come from. */
struct source {
	const struct strlist *files;
	const struct strlist *exclude; /* patterns of what is not there; NULL: none */
	void (*chain)(void *user, const char *stream, struct strlist *ret);
	void *user;
};

static bool has_stream(const struct source *s, const char *set, const char *name, const char *method)
{
	_cleanup_(free) char *first = xasprintf("%s%s.%s.zst.000", set, name, method);

	return strlist_has(s->files, first) || is_sealed(s->files, set, name, method);
}

/* `env`: a busybox shell would take its own tar, which knows neither attributes nor ACLs. A FAT file system has no
 * owners and modes. */
static void put_cat(struct strbuf *b, const struct source *s, const char *set, const struct content *c,
		    const char *method, const char *folder)
{
	put_stream(b, s->files, set, c->stream, method);
	strbuf_puts(b, " | (cd ");
	quote(b, folder);
}

/* tar stops at the archive's mark; what stands behind that is read, too, or it would break the pipe. */
static void put_untar(struct strbuf *b, const struct source *s, const char *set, const struct content *c,
		      const char *folder)
{
	put_cat(b, s, set, c, c->method, folder);
	strbuf_puts(b, streq(c->type, "vfat")
			       ? " && env tar -xf - --no-same-owner --no-same-permissions && cat "
				 ">/dev/null)\n"
			       : " && env tar -xpf - --numeric-owner --acls --xattrs "
				 "'--xattrs-include=*' --warning=no-unknown-keyword && cat >/dev/null)\n");
}

static void put_undump(struct strbuf *b, const struct source *s, const char *set, const struct content *c,
		       const char *folder)
{
	put_cat(b, s, set, c, c->method, folder);
	strbuf_puts(b, " && restore -r -b 1024 -f -)\n");
}

/* What was deleted since the set below. */
static void put_deleted(struct strbuf *b, const struct source *s, const char *set, const struct content *c,
			const char *folder)
{
	put_cat(b, s, set, c, "deleted", folder);
	strbuf_puts(b, " && xargs -0 rm -rf --)\n");
}

/* One set of the chain; `last` is the one whose attributes and times count. */
static void put_link(struct strbuf *b, const struct source *s, const char *set, const struct content *c,
		     const char *folder, bool last)
{
	bool archive = streq(c->method, "archive");

	if (archive && has_stream(s, set, c->stream, "deleted"))
		put_deleted(b, s, set, c, folder);
	if (archive)
		put_untar(b, s, set, c, folder);
	else
		put_undump(b, s, set, c, folder);
	if (!archive && !last)
		return;
	if (!archive) {
		strbuf_puts(b, "rm ");
		quote(b, folder);
		strbuf_puts(b, "/restoresymtable\n");
	}
	if (has_stream(s, set, c->stream, "xattrs")) {
		put_cat(b, s, set, c, "xattrs", folder);
		/* a record ends with an empty line; the flags of a file that may not be changed step aside */
		strbuf_puts(
			b,
			" && bash -c 'r=; while IFS= read -r l; do\n"
			"  if [ -n \"$l\" ]; then\n"
			"    printf -v r \"%s%s\\n\" \"$r\" \"$l\"\n"
			"    case $l in \"# file: \"*) printf -v f ./%b \"${l#??file: }\";; esac\n"
			"  else\n"
			"    k=$(lsattr -d \"$f\" 2>/dev/null | head -n 1 | cut -d \" \" -f 1 | tr -cd ai)\n"
			"    [ -z \"$k\" ] || chattr \"-$k\" \"$f\"\n"
			"    printf %s \"$r\" | setfattr -h --restore=- || exit 1\n"
			"    [ -z \"$k\" ] || chattr \"+$k\" \"$f\"\n"
			"    r=\n"
			"  fi\n"
			"done')\n");
	}
	if (!has_stream(s, set, c->stream, "times"))
		return;
	/* bash: records end with a NUL */
	put_cat(b, s, set, c, "times", folder);
	strbuf_puts(b, " && bash -c 'while IFS= read -r -d \"\" line; do line=${line#* }; "
		       "touch -c -h -m -d \"@${line%% *}\" -- \"${line#* }\"; done')\n");
}

static void put_restore(struct strbuf *b, const struct source *s, const struct content *c, const char *folder)
{
	_cleanup_(strlist) struct strlist sets = { 0 };

	if (s->chain)
		s->chain(s->user, c->stream, &sets);
	else
		strlist_add(&sets, "");
	for (size_t i = 0; i < sets.count; i++)
		put_link(b, s, sets.items[i], c, folder, i + 1 == sets.count);
}

/* The mounted file systems, each after those above it. The caller frees the array. */
static const struct device **list_mounted(const struct machine *m, size_t *ret_count)
{
	const struct device **mounted = xcalloc(m->count, sizeof(*mounted));
	size_t count = 0;

	for (size_t i = 0; i < m->count; i++) {
		const struct content *c = &m->devices[i]->content;

		if ((c->kind == CONTENT_FILESYSTEM && c->mountpoint && *c->mountpoint == '/') ||
		    (c->kind == CONTENT_SUBVOLUME && (c->mountpoint || c->stream)))
			mounted[count++] = m->devices[i];
	}
	qsort(mounted, count, sizeof(*mounted), by_mountpoint);
	*ret_count = count;
	return mounted;
}

static void put_seal(struct strbuf *b, const struct device *d, const char *folder)
{
	if (!d->subvolume.read_only)
		return;
	strbuf_puts(b, "btrfs property set ");
	quote(b, folder);
	strbuf_puts(b, " ro true\n");
}

static void put_exclusions(struct strbuf *b, const struct source *s)
{
	if (!s->exclude || !s->exclude->count)
		return;
	_cleanup_(free) char *patterns = strlist_join(s->exclude, " ");

	strbuf_puts(b, "#    Left out of this backup, by exclude: ");
	remark(b, patterns);
	strbuf_puts(b,
		    "\n#    (the .excluded files have each path). Of a folder only its name is there.\n\n");
}

static void put_streams(struct strbuf *b, const struct machine *m, const struct source *s)
{
	size_t count;
	_cleanup_(free) const struct device **mounted = list_mounted(m, &count);

	strbuf_puts(
		b,
		"# 5. The files. restore(8) may say that lost+found exists: that is fine. Where there are\n"
		"#    .xattrs and .times, they put back attributes and parts of seconds that dump(8)\n"
		"#    drops (an immutable file keeps its own). What chattr(1) sets is in an .archive, but\n"
		"#    GNU tar does not put it back.\n\n");
	put_exclusions(b, s);
	for (size_t i = 0; i < count; i++) {
		const struct content *c = &mounted[i]->content;
		_cleanup_(free) char *folder = below_root(mounted[i]);

		strbuf_puts(b, "mkdir -p ");
		quote(b, folder);
		strbuf_puts(b, "\nmount");
		if (mounted[i]->kind == DEVICE_SUBVOLUME) {
			_cleanup_(free) char *data = btrfs_mount_data(mounted[i]);

			option(b, "-o", data);
		}
		strbuf_puts(b, " ");
		node(b, mounted[i]);
		strbuf_puts(b, " ");
		quote(b, folder);
		strbuf_puts(b, "\n");
		if (c->stream && has_stream(s, "", c->stream, c->method)) {
			put_restore(b, s, c, folder);
			put_seal(b, mounted[i], folder);
		} else {
			strbuf_puts(b, "# ");
			remark(b, c->mountpoint ? c->mountpoint : mounted[i]->name);
			strbuf_puts(b, " was not backed up.\n");
		}
		strbuf_puts(b, "\n");
	}
}

/* The loader itself is among the files. */
static void put_boot_entries(struct strbuf *b, const struct machine *m)
{
	for (size_t i = m->boot_entry_count; i > 0; i--) {
		const struct boot_entry *entry = &m->boot_entries[i - 1];
		_cleanup_(free) char *loader = xstrdup(entry->path);

		for (char *p = loader; *p; p++)
			*p = *p == '/' ? '\\' : *p;
		strbuf_puts(b, "[ ! -d /sys/firmware/efi ] || efibootmgr --create --disk ");
		node(b, entry->partition->parent);
		strbuf_printf(b, " --part %u", entry->partition->number);
		option(b, "--label", entry->label);
		option(b, "--loader", loader);
		strbuf_puts(b, "\n");
	}
}

static void put_boot_loader(struct strbuf *b, const struct machine *m)
{
	strbuf_puts(b, "# 6. The boot loader.\n\n");
	if (m->firmware == FIRMWARE_UEFI) {
		put_boot_entries(b, m);
		strbuf_puts(b, "\n");
		return;
	}
	if (m->boot_loader && streq(m->boot_loader, "grub") && m->boot_target) {
		strbuf_puts(b,
			    "for folder in dev proc sys; do mount --bind /$folder /mnt/hd/$folder; done\n");
		for (size_t i = 0; i < m->boot_disks.count; i++) {
			strbuf_puts(b, "chroot /mnt/hd grub-install --target=");
			quote(b, m->boot_target);
			strbuf_puts(b, " ");
			node(b, machine_find(m, m->boot_disks.items[i]));
			strbuf_puts(b, "\n");
		}
	} else {
		strbuf_puts(b, "# None was recognised on this machine: install it as you did there.\n");
	}
	strbuf_puts(b, "\n");
}

static void put_end(struct strbuf *b, const struct machine *m)
{
	size_t count;
	_cleanup_(free) const struct device **mounted = list_mounted(m, &count);

	strbuf_puts(b, "# 7. Done. Remove the rescue medium and reboot.\n\n");
	bool has_root = count && mounted[0]->content.mountpoint && streq(mounted[0]->content.mountpoint, "/");

	if (has_root)
		strbuf_puts(b, "umount -R /mnt/hd\n");
	while (count > 0) {
		_cleanup_(free) char *folder = below_root(mounted[--count]);

		if (has_root && mounted[count]->content.mountpoint)
			continue;
		strbuf_puts(b, "umount ");
		quote(b, folder);
		strbuf_puts(b, "\n");
	}
}

void by_hand_format(const struct machine *m, const char *shown, const struct strlist *files,
		    const struct strlist *exclude,
		    void (*chain)(void *user, const char *stream, struct strlist *ret), void *user,
		    struct strbuf *ret)
{
	const struct source source = { .files = files, .exclude = exclude, .chain = chain, .user = user };

	put_head(ret, m, shown);
	put_sums(ret, files);
	put_key(ret, files);
	put_disks(ret, m);
	put_tables(ret, m);
	put_layers(ret, m, files);
	put_filesystems(ret, m);
	put_streams(ret, m, &source);
	put_boot_loader(ret, m);
	put_end(ret, m);
}
