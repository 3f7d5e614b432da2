/* The text of LVM's metadata, as vgcfgbackup(8) writes it: sections "NAME {" … "}" and lines "key = value", one each
 * a line. The UUID of the group is its own "id", that of a volume the "id" in logical_volumes/NAME, also of a hidden one. See
 * lvm2's doc/ and lib/format_text. */
#include "machine/layer_kinds.h"

#include "machine/layer.h"

#include <errno.h>

struct place {
	struct strlist path; /* the sections around the line */
	size_t changed; /* the group's and its volumes' */
};

static const struct device *find_volume(const struct machine *m, const struct device *group, const char *name)
{
	for (size_t i = 0; i < m->count; i++)
		if (is_volume_of(m->devices[i], group) && streq(volume_name(m->devices[i]), name))
			return m->devices[i];
	return NULL;
}

/* Of what a volume is made of, and of the spare. NULL: it had none of that name, and nothing refers to it by UUID. */
static const char *hidden_uuid(const struct machine *m, const struct device *group, const char *name)
{
	for (size_t i = 0; i < m->count; i++) {
		const struct device *d = m->devices[i];
		const char *part = is_volume_of(d, group) ? volume_part(d, name) : NULL;
		const char *uuid = part ? key_values_get(&d->volume.parts, part) : NULL;

		if (uuid)
			return uuid;
	}
	return str_ends(name, "_pmspare") ? group->group.spare_uuid : NULL;
}

/* The UUID that belongs into the section around; NULL: leave what is there. */
static const char *uuid_for(struct place *p, const struct machine *m, const struct device *group)
{
	char **path = p->path.items;

	if (p->path.count == 0 || !streq(path[0], group->name))
		return NULL;
	if (p->path.count == 1) {
		p->changed++;
		return group->group.uuid;
	}
	if (p->path.count != 3 || !streq(path[1], "logical_volumes"))
		return NULL;
	const struct device *d = find_volume(m, group, path[2]);

	if (!d)
		return hidden_uuid(m, group, path[2]);
	p->changed++;
	return d->volume.uuid;
}

static void leave(struct strlist *path)
{
	if (path->count)
		free(path->items[--path->count]);
	if (path->items)
		path->items[path->count] = NULL;
}

static void add_line(struct strbuf *b, struct place *p, const char *line, size_t len, const struct machine *m,
		     const struct device *group)
{
	size_t indent = strspn(line, " \t");
	const char *word = line + indent, *uuid = NULL;
	size_t name = strcspn(word, " \t\n");

	if (*word == '}')
		leave(&p->path);
	else if (strncmp(word + name, " {", 2) == 0)
		strlist_take(&p->path, xstrndup(word, name));
	else if (name == 2 && strncmp(word, "id = \"", 6) == 0)
		uuid = uuid_for(p, m, group);
	if (!uuid) {
		strbuf_add(b, line, len);
		return;
	}
	strbuf_add(b, line, indent);
	strbuf_printf(b, "id = \"%s\"\n", uuid);
}

int lvm_set_ids(const char *text, const struct machine *m, const struct device *group, char **ret,
		struct error *e)
{
	_cleanup_(strbuf) struct strbuf b = { 0 };
	struct place p = { 0 };
	size_t expected = 1;

	for (size_t i = 0; i < m->count; i++)
		expected += is_volume_of(m->devices[i], group);
	for (const char *line = text; *line;) {
		size_t len = strcspn(line, "\n");

		len += line[len] == '\n';
		add_line(&b, &p, line, len, m, group);
		line += len;
	}
	strlist_free(&p.path);
	if (p.changed != expected)
		return error_text(
			e, EPROTO,
			"set the UUIDs of volume group %s: LVM's metadata has %zu of %zu places for them",
			group->name, p.changed, expected);
	*ret = TAKE_PTR(b.data);
	return 0;
}
