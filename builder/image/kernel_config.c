#include "image/kernel_config.h"

#include "base/fs.h"
#include "image/kernel_image.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/utsname.h>

enum { max_config = 16 << 20, max_packed = 4 << 20 };

void kernel_config_free(struct kernel_config *c)
{
	free(c->text);
	free(c->source);
	*c = (struct kernel_config) { 0 };
}

/* --- reading it --- */

/* What stands behind "NAME=" in a line of its own; NULL: no such line. */
static const char *find_value(const struct kernel_config *c, const char *name)
{
	size_t len = strlen(name);

	for (const char *p = c->text; p && (p = strstr(p, name)); p += len)
		if ((p == c->text || p[-1] == '\n') && p[len] == '=')
			return p + len + 1;
	return NULL;
}

enum kernel_option kernel_config_get(const struct kernel_config *c, const char *name)
{
	const char *value = find_value(c, name);

	if (!c->text)
		return KERNEL_OPTION_UNKNOWN;
	if (!value || *value == 'n')
		return KERNEL_OPTION_NO;
	return *value == 'm' ? KERNEL_OPTION_MODULE : KERNEL_OPTION_YES;
}

char *kernel_config_value(const struct kernel_config *c, const char *name)
{
	const char *value = find_value(c, name);
	size_t len = value ? strcspn(value, "\r\n") : 0;

	if (!value)
		return NULL;
	if (len >= 2 && value[0] == '"' && value[len - 1] == '"')
		return xstrndup(value + 1, len - 2);
	return xstrndup(value, len);
}

/* --- inside the kernel --- */

static const char begin_mark[] = "IKCFG_ST", end_mark[] = "IKCFG_ED";
enum { mark_len = sizeof(begin_mark) - 1 };

/* Looks at a kernel as it passes by. */
struct scan {
	struct strbuf kept; /* what follows the first mark; before it: the bytes that may be its beginning */
	bool begun;
};

/* 1 when all of it has been seen. */
static int scan_piece(void *user, const void *data, size_t len)
{
	struct scan *s = user;
	struct strbuf *kept = &s->kept;
	size_t from = kept->len < mark_len ? 0 : kept->len - mark_len;

	strbuf_add(kept, data, len);
	if (!s->begun) {
		const char *at = memmem(kept->data, kept->len, begin_mark, mark_len);
		size_t drop = at ? (size_t)(at - kept->data) + mark_len
				 : kept->len - (kept->len < mark_len ? kept->len : mark_len - 1);

		kept->len -= drop;
		memmove(kept->data, kept->data + drop, kept->len);
		s->begun = at;
		from = 0;
	}
	if (!s->begun)
		return 0;
	const char *end = memmem(kept->data + from, kept->len - from, end_mark, mark_len);

	if (end)
		kept->len = (size_t)(end - kept->data);
	return end || kept->len > max_packed;
}

int kernel_config_embedded(const char *vmlinuz, struct strbuf *ret, struct error *e)
{
	struct scan s = { 0 };
	int r = kernel_image_unpack(vmlinuz, scan_piece, &s, e);
	_cleanup_(strbuf) struct strbuf packed = s.kept;

	if (r < 0)
		return r == -ENOTSUP ? 0 : r;
	if (r == 0 || !decompress_format(packed.data, packed.len))
		return 0;
	r = decompress_whole(packed.data, packed.len, vmlinuz, max_config, ret, e);
	return r < 0 ? r : 1;
}

/* --- finding it --- */

/* A file that holds none is passed over, as is one that may not be read. */
static bool take_file(int dirfd, const char *path, const char *shown, struct kernel_config *ret)
{
	_cleanup_(free) char *data = NULL;
	_cleanup_(strbuf) struct strbuf text = { 0 };
	struct error ignored;
	size_t len;

	if (read_file_at(dirfd, path, max_config, &data, &len, &ignored) < 0)
		return false;
	if (!decompress_format(data, len))
		strbuf_add(&text, data, len);
	else if (decompress_whole(data, len, shown, max_config, &text, &ignored) < 0)
		return false;
	if (!text.data || !strstr(text.data, "CONFIG_"))
		return false;
	*ret = (struct kernel_config) { TAKE_PTR(text.data), xstrdup(shown) };
	return true;
}

static bool take_from_root(const struct root *root, const char *path, struct kernel_config *ret)
{
	_cleanup_(walk) struct walk w = { 0 };
	struct error ignored;

	if (root_walk(root, NULL, path, &w, &ignored) < 0)
		return false;
	_cleanup_(free) char *host = root_host_path(root, w.canonical);

	return take_file(AT_FDCWD, host, host, ret);
}

static bool is_running(const char *version)
{
	struct utsname u;

	return uname(&u) == 0 && streq(u.release, version);
}

int kernel_config_find(const struct root *root, const char *version, const char *vmlinuz, const char *modules,
		       struct kernel_config *ret, struct error *e)
{
	const char *slash = strrchr(vmlinuz, '/');
	_cleanup_(free) char *beside =
		xasprintf("%.*sconfig-%s", slash ? (int)(slash - vmlinuz + 1) : 0, vmlinuz, version);
	_cleanup_(free) char *boot = xasprintf("/boot/config-%s", version);
	_cleanup_(free) char *own = modules ? xasprintf("%s/config", modules) : NULL;
	_cleanup_(free) char *built = modules ? xasprintf("%s/build/.config", modules) : NULL;
	_cleanup_(strbuf) struct strbuf text = { 0 };

	if (take_file(AT_FDCWD, beside, beside, ret) || take_from_root(root, boot, ret) ||
	    (own && take_file(AT_FDCWD, own, own, ret)) || (built && take_file(AT_FDCWD, built, built, ret)))
		return 0;
	int r = kernel_config_embedded(vmlinuz, &text, e);

	if (r > 0)
		*ret = (struct kernel_config) { TAKE_PTR(text.data), xstrdup(vmlinuz) };
	else if (r == 0 && is_running(version))
		(void)take_from_root(root, "/proc/config.gz", ret); /* it may have none */
	return r < 0 ? r : 0;
}
