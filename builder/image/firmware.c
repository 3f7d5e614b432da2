#include "image/firmware.h"

#include "base/fs.h"
#include "image/decompress.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>

enum { max_firmware = 1 << 30 };

/* In the order in which the kernel tries them; CONFIG_FW_LOADER_COMPRESS alone was xz, before Linux 5.19. */
static const struct suffix {
	const char *text;
	const char *options[2]; /* which kernels load it; NULL: all do */
} suffixes[] = {
	{ "", { NULL } },
	{ ".zst", { "CONFIG_FW_LOADER_COMPRESS_ZSTD", NULL } },
	{ ".xz", { "CONFIG_FW_LOADER_COMPRESS_XZ", "CONFIG_FW_LOADER_COMPRESS" } },
};

void firmware_close(struct firmware *f)
{
	strlist_free(&f->folders);
	strlist_free(&f->built_in);
	*f = (struct firmware) { 0 };
}

void firmware_open(const struct root *root, const struct kernel *kernel, struct tree *tree,
		   struct firmware *ret)
{
	_cleanup_(free) char *updates = xasprintf("/lib/firmware/updates/%s", kernel->version);
	_cleanup_(free) char *versioned = xasprintf("/lib/firmware/%s", kernel->version);
	const char *const folders[] = { updates, "/lib/firmware/updates", versioned, "/lib/firmware" };
	_cleanup_(free) char *built_in = kernel_config_value(&kernel->config, "CONFIG_EXTRA_FIRMWARE");
	struct error ignored;

	*ret = (struct firmware) { .root = root, .kernel = kernel, .tree = tree };
	for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
		_cleanup_(walk) struct walk w = { 0 };

		if (root_walk(root, NULL, folders[i], &w, &ignored) == 0 && S_ISDIR(w.st.st_mode))
			strlist_add(&ret->folders, folders[i]);
	}
	if (built_in)
		strlist_add_words(&ret->built_in, built_in);
}

static bool can_load(const struct firmware *f, const struct suffix *s)
{
	for (size_t i = 0; i < 2 && s->options[i]; i++)
		if (kernel_config_get(&f->kernel->config, s->options[i]) == KERNEL_OPTION_YES)
			return true;
	return !*s->text;
}

static int add_len(void *user, const void *data, size_t len)
{
	(void)data;
	*(uint64_t *)user += len;
	return 0;
}

/* The kernel could not load it as it is: it goes in unpacked, under its plain name. */
static int add_unpacked(struct firmware *f, const char *path, const struct walk *w, const struct reason *why,
			struct error *e)
{
	_cleanup_(free) char *source = root_host_path(f->root, w->canonical);
	_cleanup_(free) char *packed = NULL;
	size_t len;
	uint64_t size = 0;
	int r = read_file_at(AT_FDCWD, source, max_firmware, &packed, &len, e);

	if (r == 0)
		r = decompress(packed, len, source, add_len, &size, e);
	return r < 0 ? r : tree_add_packed(f->tree, path, 0644, source, size, why, e);
}

/* Returns 1, or 0 when no folder has it. */
static int add_one(struct firmware *f, const char *name, const struct reason *because, struct error *e)
{
	struct error ignored;

	for (size_t s = 0; s < sizeof(suffixes) / sizeof(*suffixes); s++)
		for (size_t i = 0; i < f->folders.count; i++) {
			_cleanup_(free) char *plain = xasprintf("%s/%s", f->folders.items[i], name);
			_cleanup_(free) char *path = xasprintf("%s%s", plain, suffixes[s].text);
			_cleanup_(walk) struct walk w = { 0 };

			if (root_walk(f->root, f->tree, path, &w, &ignored) < 0 || !S_ISREG(w.st.st_mode))
				continue;
			const struct reason *why = tree_reason(f->tree, because, "firmware %s", name);
			int r = can_load(f, &suffixes[s]) ? tree_add_walk(f->tree, f->root, &w, why, e)
							  : add_unpacked(f, plain, &w, why, e);

			return r < 0 ? r : 1;
		}
	return 0;
}

/* --- patterns --- */

static bool is_pattern(const char *s)
{
	return s[strcspn(s, "*?[")];
}

/* The entry's name as a pattern of firmware names means it: without what a compressor added. */
static char *plain_name(const char *name)
{
	for (size_t s = 1; s < sizeof(suffixes) / sizeof(*suffixes); s++)
		if (str_ends(name, suffixes[s].text))
			return xstrndup(name, strlen(name) - strlen(suffixes[s].text));
	return xstrdup(name);
}

/* What `folder` has that the pattern's first part stands for goes before the rest of the pattern. */
static void expand(const struct firmware *f, const char *folder, const char *before, const char *pattern,
		   struct strlist *ret)
{
	size_t len = strcspn(pattern, "/");
	_cleanup_(free) char *part = xstrndup(pattern, len);
	_cleanup_(free) char *path = xasprintf("%s/%s", folder, before);
	_cleanup_(walk) struct walk w = { 0 };
	struct error ignored;

	if (!is_pattern(pattern)) {
		_cleanup_(free) char *name = xasprintf("%s%s", before, pattern);

		strlist_add_once(ret, name);
		return;
	}
	if (root_walk(f->root, f->tree, path, &w, &ignored) < 0)
		return;
	_cleanup_(free) char *host = root_host_path(f->root, w.canonical);
	DIR *d = opendir(host);

	if (!d)
		return; /* not a folder, or gone */
	for (const struct dirent *entry; (entry = readdir(d));) {
		_cleanup_(free) char *plain =
			pattern[len] ? xstrdup(entry->d_name) : plain_name(entry->d_name);
		_cleanup_(free) char *name = xasprintf("%s%s%s", before, plain, pattern[len] ? "/" : "");

		if (entry->d_name[0] == '.' || fnmatch(part, plain, 0) != 0)
			continue;
		if (pattern[len])
			expand(f, folder, name, pattern + len + 1, ret);
		else
			strlist_add_once(ret, name);
	}
	(void)closedir(d); /* read side */
}

/* A name comes out of a module: it must not fetch other files than firmware. */
static bool leads_out(const char *name)
{
	_cleanup_(free) char *guarded = xasprintf("/%s/", name);

	return *name == '/' || strstr(guarded, "/../");
}

int firmware_add(struct firmware *f, const char *name, const struct reason *because, struct error *e)
{
	_cleanup_(strlist) struct strlist names = { 0 };
	int count = 0;

	if (strlist_has(&f->built_in, name))
		return 1;
	if (leads_out(name))
		return 0;
	if (!is_pattern(name))
		return add_one(f, name, because, e);
	for (size_t i = 0; i < f->folders.count; i++)
		expand(f, f->folders.items[i], "", name, &names);
	strlist_sort(&names);
	for (size_t i = 0; i < names.count; i++) {
		int r = add_one(f, names.items[i], because, e);

		if (r < 0)
			return r;
		count += r;
	}
	return count;
}
