#include "machine/fs.h"

#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>

const struct fs_ops *const fs_all[] = { &fs_btrfs, &fs_ext, &fs_swap, &fs_vfat, &fs_xfs, NULL };

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

int fs_read_block(const char *node, uint64_t offset, void *ret, struct error *e)
{
	enum { one = 4096 }; /* a sector of any disk */
	_cleanup_(fd) int fd = open(node, O_RDONLY | O_DIRECT | O_CLOEXEC);
	_cleanup_(free) void *data = NULL;

	if (fd < 0 && errno == EINVAL) /* a file where there is no such thing */
		fd = open(node, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_errno(e, errno, "open %s", node);
	if (posix_memalign(&data, one, one) != 0)
		return error_errno(e, ENOMEM, "read %s", node);
	ssize_t n = pread_full(fd, data, one, (off_t)offset);

	if (n != one)
		return error_errno(e, n < 0 ? (int)-n : EIO, "read %s", node);
	memcpy(ret, data, one);
	return 0;
}

bool content_has_word(const struct content *c, const char *key, const char *name)
{
	const char *all = key_values_get(&c->parameters, key);
	_cleanup_(strlist) struct strlist words = { 0 };

	strlist_add_words(&words, all ? all : "");
	return strlist_has(&words, name);
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
