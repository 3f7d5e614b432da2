#include "image/loader.h"

#include "base/fs.h"

#include <ctype.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>

enum { max_loader = 8 << 20, max_path_file = 1 << 16 };

/* Interpreters by the psABIs, as in glibc's ports (sysdeps/…/shlib-versions). */
static const struct abi {
	int class;
	uint16_t machine;
	const char *interpreter, *platform, *triplet, *musl;
} abis[] = {
	{ ELFCLASS64, EM_X86_64, "/lib64/ld-linux-x86-64.so.2", "x86_64", "x86_64-linux-gnu", "x86_64" },
	{ ELFCLASS32, EM_X86_64, "/libx32/ld-linux-x32.so.2", "x86_64", "x86_64-linux-gnux32", "x32" },
	{ ELFCLASS32, EM_386, "/lib/ld-linux.so.2", "i686", "i386-linux-gnu", "i386" },
	{ ELFCLASS64, EM_AARCH64, "/lib/ld-linux-aarch64.so.1", "aarch64", "aarch64-linux-gnu", "aarch64" },
	{ ELFCLASS32, EM_ARM, "/lib/ld-linux-armhf.so.3", "v7l", "arm-linux-gnueabihf", "armhf" },
};

static const struct abi *find_abi(const struct elf_info *info)
{
	for (size_t i = 0; i < sizeof(abis) / sizeof(*abis); i++)
		if (abis[i].class == info->class && abis[i].machine == info->machine)
			return &abis[i];
	return NULL;
}

const char *loader_platform(const struct elf_info *info)
{
	const struct abi *abi = find_abi(info);

	return abi ? abi->platform : NULL;
}

/* Alpine's libraries need libc.musl-ARCH.so.1, everyone else's libc.so: glibc's is libc.so.6. */
static bool needs_musl(const struct elf_info *info)
{
	for (size_t i = 0; i < info->needed.count; i++)
		if (streq(info->needed.items[i], "libc.so") || str_after(info->needed.items[i], "libc.musl-"))
			return true;
	return false;
}

char *loader_for_library(const struct elf_info *info)
{
	const struct abi *abi = find_abi(info);

	if (!abi)
		return NULL;
	return needs_musl(info) ? xasprintf("/lib/ld-musl-%s.so.1", abi->musl) : xstrdup(abi->interpreter);
}

bool loader_is_musl_libc(const char *name)
{
	static const char *const names[] = { "c", "pthread", "rt", "m", "dl", "util", "xnet" };
	const char *rest = str_after(name, "lib");

	for (size_t i = 0; rest && i < sizeof(names) / sizeof(*names); i++) {
		const char *after = str_after(rest, names[i]);

		if (after && *after == '.')
			return true;
	}
	return false;
}

void loader_free(struct loader *l)
{
	free(l->interpreter);
	free(l->path_file);
	strlist_free(&l->folders);
	*l = (struct loader) { 0 };
}

/* --- glibc --- */

/* The length of a folder's name with a slash at both ends and a NUL behind it; 0: there is none. */
static size_t folder_length(const char *s, size_t size)
{
	size_t n = 0;

	while (n < size && (isalnum((unsigned char)s[n]) || strchr("/_-.+", s[n])) && s[n])
		n++;
	return n > 1 && n < size && s[0] == '/' && s[n - 1] == '/' && s[n] == '\0' ? n : 0;
}

/* glibc's loader has its folders side by side, each with a slash and a NUL at its end. The first run of
 * two or more is them. */
static void find_folders(const char *data, size_t size, struct strlist *ret)
{
	for (size_t i = 0; i < size; i++) {
		const char *slash = memchr(data + i, '/', size - i);

		if (!slash)
			return;
		i = (size_t)(slash - data);
		size_t begin = i, n;
		unsigned count = 0;

		while ((n = folder_length(data + i, size - i)) > 0) {
			i += n + 1;
			count++;
		}
		if (count < 2) {
			i = begin;
			continue;
		}
		for (size_t at = begin; count; count--) {
			strlist_take(ret, xstrndup(data + at, strlen(data + at) - 1));
			at += strlen(data + at) + 1;
		}
		return;
	}
}

/* What the loaders of the distributions have where this one does not say. Libraries of the wrong kind
 * are passed over, so that /lib64 and /lib may stand in one list. */
static void guess_folders(const struct elf_info *like, struct strlist *ret)
{
	const struct abi *abi = find_abi(like);

	if (abi) {
		strlist_addf(ret, "/lib/%s", abi->triplet);
		strlist_addf(ret, "/usr/lib/%s", abi->triplet);
	}
	if (like->class == ELFCLASS64) {
		strlist_add(ret, "/lib64");
		strlist_add(ret, "/usr/lib64");
	}
	strlist_add(ret, "/lib");
	strlist_add(ret, "/usr/lib");
}

static int open_glibc(const struct elf_info *like, struct loader *l, struct error *e)
{
	const struct object *o = l->place->object;
	_cleanup_(free) char *data = NULL;
	size_t size = 0;
	int r = o ? read_file_at(AT_FDCWD, o->shown, max_loader, &data, &size, e) : 0;

	if (r < 0)
		return r;
	find_folders(data, size, &l->folders);
	if (!l->folders.count)
		guess_folders(like, &l->folders);
	/* glibc: DL_DST_LIB is the last part of slibdir, which is the first default folder */
	l->lib = l->folders.items[0] + 1;
	return 0;
}

/* --- musl --- */

/* The file beside the loader's own root: PREFIX/lib/ld-musl-ARCH.so.1 reads PREFIX/etc/ld-musl-ARCH.path. */
static int open_musl(struct objects *objects, const char *name, struct loader *l, struct error *e)
{
	size_t arch = strcspn(name, "."), prefix = (size_t)(name - l->interpreter) - 1;

	while (prefix > 0 && l->interpreter[prefix - 1] != '/')
		prefix--;
	_cleanup_(free) char *path =
		xasprintf("%.*setc/%.*s.path", (int)prefix, l->interpreter, (int)arch, name);
	_cleanup_(free) char *text = NULL;
	size_t size;
	int r = root_read(objects->root, objects->tree, path, max_path_file, &text, &size, e);

	if (r < 0)
		return r;
	l->musl = true;
	l->lib = "lib";
	if (r == 1)
		l->path_file = TAKE_PTR(path);
	if (!text)
		text = xstrdup("/lib:/usr/local/lib:/usr/lib");
	for (char *rest = text, *folder; (folder = strsep(&rest, "\n:"));)
		if (*folder == '/')
			strlist_add(&l->folders, folder);
	return 0;
}

int loader_open(struct objects *objects, const char *interpreter, const struct elf_info *like,
		struct loader *ret, struct error *e)
{
	_cleanup_(loader) struct loader l = { .interpreter = xstrdup(interpreter) };
	const char *slash = strrchr(l.interpreter, '/');
	int r = objects_at(objects, interpreter, &l.place, e);

	if (r == 0)
		r = slash && str_after(slash + 1, "ld-musl-") ? open_musl(objects, slash + 1, &l, e)
							      : open_glibc(like, &l, e);
	if (r < 0)
		return r;
	*ret = l;
	l = (struct loader) { 0 };
	return 0;
}
