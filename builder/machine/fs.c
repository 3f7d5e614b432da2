#include "machine/fs.h"

#include <ctype.h>
#include <errno.h>

const struct fs_ops *const fs_all[] = { &fs_ext, &fs_swap, &fs_vfat, &fs_xfs, NULL };

const struct fs_ops *fs_find(const char *type)
{
	for (size_t i = 0; fs_all[i]; i++)
		for (const char *const *t = fs_all[i]->types; *t; t++)
			if (streq(*t, type))
				return fs_all[i];
	return NULL;
}

char *fs_names(enum content_kind kind)
{
	struct strbuf b = { 0 };

	for (size_t i = 0; fs_all[i]; i++)
		for (const char *const *t = fs_all[i]->types; *t && fs_all[i]->kind == kind; t++)
			strbuf_printf(&b, "%s%s", b.len ? ", " : "", *t);
	return b.data;
}

int check_uuid(const char *value)
{
	static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
	size_t i = 0;

	for (; form[i] && value[i]; i++)
		if (form[i] == 'x' ? !isxdigit((unsigned char)value[i]) : value[i] != '-')
			return -EINVAL;
	return form[i] || value[i] ? -EINVAL : 0;
}

int check_number(const char *value)
{
	uint64_t ignored;

	return parse_u64(value, &ignored);
}

uint64_t content_number(const struct content *c, const char *key)
{
	const char *text = key_values_get(&c->parameters, key);
	uint64_t v = 0;

	if (!text || parse_u64(text, &v) < 0)
		return 0;
	return v;
}

void content_set_number(struct content *c, const char *key, uint64_t value)
{
	_cleanup_(free) char *text = xasprintf("%llu", (unsigned long long)value);

	key_values_set(&c->parameters, key, text);
}
