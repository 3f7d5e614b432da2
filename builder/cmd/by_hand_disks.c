/* Which disks, their tables, and what is made of their partitions. */
#include "cmd/by_hand_page.h"

#include "machine/layers.h"

void page_disks(struct strbuf *b, const struct machine *m)
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
		_cleanup_(free) char *name = page_variable(d);

		strbuf_printf(b, "# %s was: %s%s", name, format_size(d->size, size),
			      d->identity.model ? ", " : "");
		page_remark(b, d->identity.model);
		strbuf_puts(b, d->identity.serial ? ", serial " : "");
		page_remark(b, d->identity.serial);
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

static void put_table(struct strbuf *b, const struct machine *m, const struct device *holder)
{
	strbuf_puts(b, "sfdisk --quiet --wipe always --wipe-partitions always ");
	page_node(b, holder);
	strbuf_printf(b, " <<'END'\nlabel: %s\n", holder->table == TABLE_GPT ? "gpt" : "dos");
	if (holder->table_id)
		strbuf_printf(b, "label-id: %s\n", holder->table_id);
	strbuf_puts(b, "unit: sectors\n");
	for (size_t i = 0; i < m->count; i++)
		if (is_partition_of(m->devices[i], holder))
			put_partition(b, holder, m->devices[i]);
	strbuf_puts(b, "END\n");
	if (!holder->boot_code)
		return;
	strbuf_printf(b, "echo %s | base64 -d | dd conv=notrunc status=none of=", holder->boot_code);
	page_node(b, holder);
	strbuf_puts(b, "\n");
}

static const char settle[] = "udevadm settle 2>/dev/null || sleep 1\n";

void page_tables(struct strbuf *b, const struct machine *m)
{
	strbuf_puts(b, "# 3. Partition tables. For a disk of another size, change start= and size= (in "
		       "sectors).\n\n");
	for (size_t i = 0; i < m->count; i++)
		if (m->devices[i]->kind == DEVICE_DISK && m->devices[i]->table != TABLE_NONE)
			put_table(b, m, m->devices[i]);
	strbuf_printf(b, "%s\n", settle);
}

static void put_crypt(struct strbuf *b, const struct device *d, const struct strlist *files,
		      struct commands *all)
{
	const struct content *below = &d->below[0]->content;

	if (below->stream) {
		page_stream(b, files, "", below->stream, below->method);
		strbuf_puts(b, " | dd bs=1M conv=fsync status=none of=");
		page_node(b, d->below[0]);
		strbuf_puts(b, "\n");
	} else {
		crypt_format_command(d, page_node_word, NULL, NULL, all);
	}
	crypt_open_command(d, page_node_word, NULL, NULL, all);
}

/* Arrays, LUKS devices and volume groups, each on what was made before. */
void page_layers(struct strbuf *b, const struct machine *m, const struct strlist *files)
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
			raid_commands(d, page_node_word, NULL, &all);
		else if (d->kind == DEVICE_CRYPT)
			put_crypt(b, d, files, &all);
		else
			group_commands(m, d, page_node_word, NULL, &all);
		page_commands(b, &all);
		if (d->table != TABLE_NONE) {
			put_table(b, m, d);
			strbuf_puts(b, settle);
		}
	}
	strbuf_puts(b, any ? "\n" : "");
}

void page_seal(struct strbuf *b, const struct machine *m)
{
	_cleanup_(commands) struct commands all = { 0 };

	for (size_t i = 0; i < m->count; i++)
		if (m->devices[i]->kind == DEVICE_GROUP)
			group_seal_commands(m, m->devices[i], &all);
	page_commands(b, &all);
}
