/* Reading machine.conf: first the form of each section (a schema), then the values into the model
 * (conf_*.c), then check.c looks at how they fit together. */
#include "machine/machine_conf.h"

#include "machine/check.h"
#include "machine/conf_parse.h"
#include "machine/layer.h"

#include <errno.h>

static int check_firmware(const char *value)
{
	return streq(value, "bios") || streq(value, "uefi") ? 0 : -EINVAL;
}

static int check_loader(const char *value)
{
	return streq(value, "grub") || streq(value, "extlinux") ? 0 : -EINVAL;
}

static const struct ini_key machine_keys[] = {
	{ "hostname", "a text", conf_check_text },
	{ "os", "a text", conf_check_text },
	{ "arch", "a text", conf_check_text },
	{ "kernel", "a text", conf_check_text },
	{ "created", "a text", conf_check_text },
	{ "firmware", "bios or uefi", check_firmware },
	{ NULL, NULL, NULL },
};
static const struct ini_key boot_keys[] = {
	{ "loader", "grub or extlinux", check_loader },
	{ "target", "a text (\\xHH for special bytes)", conf_check_text },
	{ "disk", "a text", conf_check_text },
	{ NULL, NULL, NULL },
};
static const struct ini_key boot_entry_keys[] = {
	{ "label", "a text (\\xHH for special bytes)", conf_check_text },
	{ "partition", "a text", conf_check_text },
	{ "path", "an absolute path without . and ..", conf_check_path },
	{ NULL, NULL, NULL },
};
static int parse_machine(const struct conf_parse *p)
{
	static const char *const needed[] = { "firmware", NULL };
	const struct ini_section *s = p->section;

	p->m->hostname = conf_text(s, "hostname");
	p->m->hostname_line = conf_line(s, "hostname");
	p->m->os = conf_text(s, "os");
	p->m->arch = conf_text(s, "arch");
	p->m->kernel = conf_text(s, "kernel");
	p->m->created = conf_text(s, "created");
	const char *firmware = ini_get(s, "firmware");

	p->m->firmware = firmware && streq(firmware, "uefi") ? FIRMWARE_UEFI : FIRMWARE_BIOS;
	return conf_require(p, needed);
}

static int parse_boot(const struct conf_parse *p)
{
	static const char *const needed[] = { "loader", "target", "disk", NULL };
	const struct ini_section *s = p->section;
	int r = conf_require(p, needed);

	if (r < 0)
		return r;
	_cleanup_(strlist) struct strlist disks = { 0 };

	conf_split(s, "disk", &disks);
	if (disks.count == 0)
		return ini_error(p->ini, conf_line(s, "disk"), p->e,
				 "no disk is named; expected the names of [disk NAME]s above, with commas "
				 "between them");
	for (size_t i = 0; i < disks.count; i++) {
		const struct device *d = machine_find(p->m, disks.items[i]);

		if (!d || d->kind != DEVICE_DISK)
			return ini_error(
				p->ini, conf_line(s, "disk"), p->e,
				"disk '%s' is not described; expected the name of a [disk NAME] above",
				disks.items[i]);
		const struct device *array = disk_shows_array(p->m, d);

		if (array)
			return ini_error(p->ini, conf_line(s, "disk"), p->e,
					 "%s is a member of %s as a whole, and its first sector is that of "
					 "%s's table, from "
					 "which booting cannot be rebuilt; expected another disk",
					 d->name, array->name, array->name);
		strlist_add_once(&p->m->boot_disks, disks.items[i]);
	}
	p->m->boot_loader = conf_text(s, "loader");
	p->m->boot_target = conf_text(s, "target");
	if (streq(p->m->boot_loader, "grub") ? !streq(p->m->boot_target, "i386-pc")
					     : *p->m->boot_target != '/')
		return ini_error(
			p->ini, conf_line(s, "target"), p->e,
			"bad value '%s' for 'target'; expected i386-pc for grub, or for extlinux the folder "
			"of ldlinux.sys, such as /boot/extlinux",
			p->m->boot_target);
	return 0;
}

static int parse_boot_entry(const struct conf_parse *p)
{
	static const char *const needed[] = { "label", "partition", "path", NULL };
	const struct ini_section *s = p->section;
	int r = conf_require(p, needed);

	if (r < 0)
		return r;
	struct device *d = machine_find(p->m, ini_get(s, "partition"));
	_cleanup_(free) char *label = conf_text(s, "label"), *path = conf_text(s, "path");

	if (p->m->firmware != FIRMWARE_UEFI)
		return ini_error(p->ini, s->line, p->e,
				 "BIOS firmware has no boot entries; expected firmware = uefi in [machine]");
	if (d && d->kind == DEVICE_PARTITION && !device_is_plain(d))
		return ini_error(p->ini, conf_line(s, "partition"), p->e,
				 "'%s' is a partition of an array, from which booting cannot be rebuilt; "
				 "expected one of "
				 "a disk",
				 d->name);
	if (!d || d->kind != DEVICE_PARTITION || !d->part_uuid)
		return ini_error(p->ini, conf_line(s, "partition"), p->e,
				 "'%s' is no GPT partition; expected the name of a [partition NAME] above "
				 "that has a uuid",
				 ini_get(s, "partition"));
	const struct device *content = partition_content(p->m, d);

	if (!content->content.type || !streq(content->content.type, "vfat"))
		return ini_error(p->ini, conf_line(s, "partition"), p->e,
				 "%s holds no vfat; firmware starts nothing else", content->name);
	if (!content->content.stream || !content->content.mountpoint)
		return ini_error(p->ini, conf_line(s, "partition"), p->e,
				 "what the firmware starts lies on %s, which is not in the backup; expected "
				 "'mountpoint', 'stream' and 'method' in [filesystem %s]",
				 content->name, content->name);
	machine_add_boot_entry(p->m, label, d, path);
	return 0;
}

int machine_conf_parse(const char *file, const char *text, struct machine *ret, struct error *e)
{
	_cleanup_(free) struct ini_key *fs_keys = conf_content_keys(CONTENT_FILESYSTEM);
	_cleanup_(free) struct ini_key *swap_keys = conf_content_keys(CONTENT_SWAP);
	const struct ini_schema schemas[] = {
		{ "machine", false, machine_keys },
		{ "disk", true, conf_disk_keys },
		{ "partition", true, conf_partition_keys },
		{ "raid", true, conf_raid_keys },
		{ "crypt", true, conf_crypt_keys },
		{ "group", true, conf_group_keys },
		{ "volume", true, conf_volume_keys },
		{ "btrfs", true, conf_btrfs_keys },
		{ "filesystem", true, fs_keys },
		{ "swap", true, swap_keys },
		{ "subvolume", true, conf_subvolume_keys },
		{ "boot", false, boot_keys },
		{ "boot-entry", true, boot_entry_keys },
		{ NULL, false, NULL },
	};
	static int (*const parsers[])(const struct conf_parse *) = {
		parse_machine,      conf_parse_disk,    conf_parse_partition, conf_parse_raid,
		conf_parse_crypt,   conf_parse_group,   conf_parse_volume,    conf_parse_btrfs,
		conf_parse_content, conf_parse_content, conf_parse_subvolume, parse_boot,
		parse_boot_entry,
	};
	_cleanup_(machine) struct machine m = { 0 };
	_cleanup_(ini) struct ini ini = INI_NONE;
	int r = ini_parse_text(file, text, &ini, e);

	if (r == 0)
		r = ini_check(&ini, schemas, e);
	for (size_t i = 0; i < ini.count && r == 0; i++) {
		struct conf_parse p = { .ini = &ini, .section = &ini.sections[i], .m = &m, .e = e };

		for (size_t k = 0; schemas[k].kind && r == 0; k++)
			if (streq(schemas[k].kind, ini.sections[i].kind))
				r = parsers[k](&p);
	}
	if (r == 0)
		r = machine_check(&m, &ini, e);
	if (r < 0)
		return r;
	*ret = m;
	m = (struct machine) { 0 };
	return 0;
}
