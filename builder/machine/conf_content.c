/* [filesystem NAME] and [swap NAME] of machine.conf. */
#include "machine/conf_parse.h"

#include "machine/fs.h"
#include "machine/layer.h"
#include "machine/text.h"

#include <errno.h>

static const struct ini_key common_keys[] = {
	{ "type", "a text", conf_check_text },
	{ "uuid", "a text", conf_check_text },
	{ "label", "a text (\\xHH for special bytes)", conf_check_text },
	{ "mountpoint", "an absolute path without . and ..", conf_check_path },
	{ "options", "a text (\\xHH for special bytes)", conf_check_text },
	{ "used", "a number of bytes", check_number },
	{ "stream", "letters, digits, _ and -", conf_check_stream },
	{ "method", "letters, digits, _ and -", conf_check_stream },
	{ NULL, NULL, NULL },
};

static bool has_key(const struct ini_key *keys, const char *key)
{
	while (keys->key && !streq(keys->key, key))
		keys++;
	return keys->key != NULL;
}

/* What every content has, and then what the file systems of that kind add: several may use one key, each with
 * values of its own, which check_parameters() looks at. The caller frees. */
struct ini_key *conf_content_keys(enum content_kind kind)
{
	size_t count = 0, most = sizeof(common_keys) / sizeof(*common_keys);

	for (size_t i = 0; fs_all[i]; i++)
		for (const struct ini_key *k = fs_all[i]->keys; k->key; k++)
			most++;
	struct ini_key *keys = xcalloc(most, sizeof(*keys)); /* ends with a NULL key */

	for (const struct ini_key *k = common_keys; k->key; k++)
		keys[count++] = *k;
	for (size_t i = 0; fs_all[i]; i++)
		for (const struct ini_key *k = fs_all[i]->keys; fs_all[i]->kind == kind && k->key; k++)
			if (!has_key(keys, k->key))
				keys[count++] = (struct ini_key) { k->key, k->expected, NULL };
	return keys;
}

/* Keys that belong to another file system than this one, and values that this one does not like. */
static int check_parameters(const struct conf_parse *p, const struct fs_ops *ops, const char *type)
{
	for (size_t i = 0; i < p->section->count; i++) {
		const struct ini_entry *entry = &p->section->entries[i];
		const struct ini_key *k = ops->keys;

		if (!str_after(entry->key, "fs."))
			continue;
		while (k->key && !streq(k->key, entry->key))
			k++;
		if (!k->key)
			return ini_error(p->ini, entry->line, p->e,
					 "'%s' does not belong to type %s; expected one of its own",
					 entry->key, type);
		if (k->check(entry->value) < 0)
			return ini_error(p->ini, entry->line, p->e, "bad value '%s' for '%s'; expected %s",
					 entry->value, entry->key, k->expected);
	}
	const char *uuid = ini_get(p->section, "uuid");

	if (uuid && ops->check_uuid(uuid) < 0)
		return ini_error(p->ini, conf_line(p->section, "uuid"), p->e,
				 "bad value '%s' for 'uuid'; expected %s", uuid, ops->uuid_expected);
	return 0;
}

static void take_content(const struct ini_section *s, enum content_kind kind, struct content *c)
{
	c->kind = kind;
	c->type = conf_text(s, "type");
	c->uuid = conf_text(s, "uuid");
	c->label = conf_text(s, "label");
	c->used = conf_number(s, "used");
	c->mountpoint = conf_text(s, "mountpoint");
	c->mount_options = conf_text(s, "options");
	c->stream = conf_text(s, "stream");
	c->method = conf_text(s, "method");
	for (size_t i = 0; i < s->count; i++) {
		const char *key = str_after(s->entries[i].key, "fs.");
		_cleanup_(free) char *value = NULL;

		if (key && text_unescape(s->entries[i].value, &value) == 0)
			key_values_set(&c->parameters, key, value);
	}
}

/* Its profiles say how much it holds. All of its devices bear its UUID. */
static void settle_btrfs(struct device *d)
{
	layer_set_size(d);
	for (size_t i = 0; i < d->below_count; i++)
		if (d->below[i] && d->content.uuid)
			d->below[i]->content.uuid = xstrdup(d->content.uuid);
}

int conf_parse_content(const struct conf_parse *p)
{
	static const char *const needed[] = { "type", NULL };
	const struct ini_section *s = p->section;
	enum content_kind kind = streq(s->kind, "swap") ? CONTENT_SWAP : CONTENT_FILESYSTEM;
	struct device *d = machine_find(p->m, s->name);
	int r = conf_require(p, needed);

	if (r < 0)
		return r;
	const char *type = ini_get(s, "type");
	const struct fs_ops *ops = fs_find(type);

	if (d && d->kind == DEVICE_BTRFS && !streq(type, "btrfs"))
		return ini_error(p->ini, conf_line(s, "type"), p->e,
				 "bad value '%s' for 'type'; expected btrfs, as %s is one on several devices",
				 type, d->name);
	if (!d || d->kind == DEVICE_GROUP)
		return ini_error(p->ini, s->line, p->e,
				 "device '%s' is not described; expected a [partition %s] or [disk %s] above",
				 s->name, s->name, s->name);
	if (!ops || ops->kind != kind) {
		_cleanup_(free) char *known = fs_names(kind);

		return ini_error(p->ini, conf_line(s, "type"), p->e,
				 "bad value '%s' for 'type'; expected one of: %s", type, known);
	}
	if (d->content.kind != CONTENT_NONE || d->table != TABLE_NONE)
		return ini_error(p->ini, s->line, p->e,
				 "'%s' holds something else already; expected a device without other content",
				 s->name);
	r = check_parameters(p, ops, type);
	if (r < 0)
		return r;
	if (!ini_get(s, "stream") != !ini_get(s, "method"))
		return ini_error(p->ini, s->line, p->e,
				 "[%s %s] has only one of 'stream' and 'method'; expected both", s->kind,
				 s->name);
	take_content(s, kind, &d->content);
	d->content.line = s->line;
	if (d->kind == DEVICE_BTRFS)
		settle_btrfs(d);
	return 0;
}
