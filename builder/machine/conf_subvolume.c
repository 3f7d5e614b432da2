/* [subvolume NAME] of machine.conf: read and written. */
#include "machine/conf_parse.h"

#include "machine/fs.h"

#include <errno.h>

/* An option of mount(2): commas would end it. */
static int check_path(const char *value)
{
	return strchr(value, ',') ? -EINVAL : conf_check_path(value);
}

#define PATH_FORM "an absolute path without . and .. and commas"

const struct ini_key conf_subvolume_keys[] = {
	{ "filesystem", "a device name", conf_check_text },
	{ "path", PATH_FORM, check_path },
	{ "default", "yes or no", conf_check_yes_no },
	{ "read-only", "yes or no", conf_check_yes_no },
	{ "snapshot-of", PATH_FORM, check_path },
	{ "send-parent", PATH_FORM, check_path },
	{ "mountpoint", "an absolute path without . and ..", conf_check_path },
	{ "options", "a text (\\xHH for special bytes)", conf_check_text },
	{ "stream", "letters, digits, _ and -", conf_check_stream },
	{ "method", "letters, digits, _ and -", conf_check_stream },
	{ NULL, NULL, NULL },
};

/* One path, one subvolume; one default. */
static int check_others(const struct conf_parse *p, const struct device *parent, const char *path,
			bool is_default)
{
	for (size_t i = 0; i < p->m->count; i++) {
		const struct device *d = p->m->devices[i];

		if (d->kind != DEVICE_SUBVOLUME || d->parent != parent)
			continue;
		if (streq(d->subvolume.path, path))
			return ini_error(p->ini, conf_line(p->section, "path"), p->e,
					 "'%s' is the path of %s too; expected another", path, d->name);
		if (is_default && d->subvolume.is_default)
			return ini_error(p->ini, conf_line(p->section, "default"), p->e,
					 "%s is the default already; expected only one", d->name);
	}
	return 0;
}

int conf_parse_subvolume(const struct conf_parse *p)
{
	static const char *const needed[] = { "filesystem", "path", NULL };
	const struct ini_section *s = p->section;
	int r = conf_require_named(p, needed);

	if (r < 0)
		return r;
	struct device *parent = machine_find(p->m, ini_get(s, "filesystem"));
	_cleanup_(free) char *path = conf_text(s, "path");

	if (!parent || !parent->content.type || !streq(parent->content.type, "btrfs") ||
	    parent->kind == DEVICE_SUBVOLUME)
		return ini_error(
			p->ini, conf_line(s, "filesystem"), p->e,
			"'%s' holds no btrfs; expected the name of a [filesystem NAME] above with type = "
			"btrfs",
			ini_get(s, "filesystem"));
	if (parent->content.stream || parent->content.mountpoint)
		return ini_error(
			p->ini, s->line, p->e,
			"%s has subvolumes; expected 'mountpoint' and 'stream' only with them, the top "
			"level being one with path = /",
			parent->name);
	if (!ini_get(s, "stream") != !ini_get(s, "method"))
		return ini_error(p->ini, s->line, p->e,
				 "[subvolume %s] has only one of 'stream' and 'method'; expected both",
				 s->name);
	r = check_others(p, parent, path, conf_yes(s, "default"));
	if (r < 0)
		return r;
	struct device *d = machine_add(p->m, DEVICE_SUBVOLUME, s->name);

	d->parent = parent;
	d->size = parent->size;
	d->subvolume = (struct subvolume) {
		.path = TAKE_PTR(path),
		.snapshot_of = conf_text(s, "snapshot-of"),
		.send_parent = conf_text(s, "send-parent"),
		.read_only = conf_yes(s, "read-only"),
		.is_default = conf_yes(s, "default"),
	};
	d->content.kind = CONTENT_SUBVOLUME;
	d->content.type = xstrdup(parent->content.type);
	d->content.mountpoint = conf_text(s, "mountpoint");
	d->content.mount_options = conf_text(s, "options");
	d->content.stream = conf_text(s, "stream");
	d->content.method = conf_text(s, "method");
	d->content.line = s->line;
	return 0;
}

void conf_put_subvolume(struct ini *ini, const struct device *d)
{
	struct ini_section *s = ini_add_section(ini, "subvolume", d->name);

	conf_put(s, "filesystem", d->parent->name);
	conf_put(s, "path", d->subvolume.path);
	if (d->subvolume.is_default)
		ini_set(s, "default", "yes");
	if (d->subvolume.read_only)
		ini_set(s, "read-only", "yes");
	conf_put(s, "snapshot-of", d->subvolume.snapshot_of);
	conf_put(s, "send-parent", d->subvolume.send_parent);
	conf_put(s, "mountpoint", d->content.mountpoint);
	conf_put(s, "options", d->content.mount_options);
	conf_put(s, "stream", d->content.stream);
	conf_put(s, "method", d->content.method);
}
