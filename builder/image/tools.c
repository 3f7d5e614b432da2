#include "image/opened.h"

#include "base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>

int tools_open(const struct root *root, struct tree *tree, struct report *report, struct tools *ret,
	       struct error *e)
{
	struct tools t = { .root = root, .tree = tree, .report = report };
	int r = libs_open(root, tree, &t.libs, e);

	if (r < 0)
		return r;
	*ret = t;
	return 0;
}

void tools_close(struct tools *t)
{
	libs_close(&t->libs);
}

/* --- scripts --- */

/* Splits "#!/usr/bin/env -S perl -w" into interpreter and first argument that names a program. */
static int add_interpreter(struct tools *t, char *line, const char *shown, const struct reason *why,
			   struct error *e)
{
	char *rest = str_strip(line + 2);
	const char *interpreter = strsep(&rest, " \t");
	const char *name = strrchr(interpreter, '/') ? strrchr(interpreter, '/') + 1 : interpreter;
	int r = tools_add(t, interpreter, why, e);

	if (r == 0)
		r = error_text(e, ENOENT, "pack %s: its interpreter %s does not exist", shown, interpreter);
	if (r < 0 || !streq(name, "env"))
		return r;
	/* env finds the real one in PATH */
	for (const char *word; (word = strsep(&rest, " \t"));) {
		if (!*word || *word == '-' || strchr(word, '='))
			continue;
		r = tools_add(t, word, why, e);
		return r != 0 ? r
			      : error_text(e, ENOENT, "pack %s: its interpreter %s is not in PATH", shown,
					   word);
	}
	return 1;
}

static int add_script_needs(struct tools *t, const char *canonical, const struct reason *why, struct error *e)
{
	char line[256]; /* the kernel reads as much: execve(2) */
	const struct entry *entry = tree_find(t->tree, canonical);
	_cleanup_(free) char *shown =
		entry && entry->source ? xstrdup(entry->source) : root_host_path(t->root, canonical);
	_cleanup_(fd) int fd = open(shown, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		return error_errno(e, errno, "open %s", shown);
	ssize_t n = read_full(fd, line, sizeof(line) - 1);

	if (n < 0)
		return error_errno(e, (int)-n, "read %s", shown);
	line[n] = '\0';
	line[strcspn(line, "\n")] = '\0';
	return str_after(line, "#!") ? add_interpreter(t, line, shown, why, e) : 1;
}

/* --- helpers --- */

static const char *file_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int add_plugin(struct tools *t, const char *what, const char *canonical, const struct reason *why,
		      struct error *e)
{
	_cleanup_(strlist) struct strlist folders = { 0 };
	int r = libs_folders(&t->libs, canonical, &folders, e);

	for (size_t i = 0; r == 0 && i < folders.count; i++) {
		_cleanup_(free) char *path = xasprintf("%s/%s", folders.items[i], what);

		r = tools_add_file(t, path, why, e);
	}
	return r;
}

static int add_helper(struct tools *t, const struct helper *h, const char *canonical,
		      const struct reason *why, struct error *e)
{
	const struct reason *because = tree_reason(t->tree, why, "helper: %s", h->why);
	int r = 0;

	switch (h->kind) {
	case HELPER_TOOL:
		r = tools_add(t, h->what, because, e);
		break;
	case HELPER_LIBRARY:
		r = libs_add_opened(&t->libs, canonical, h->what, because, e);
		break;
	case HELPER_PLUGIN:
		r = add_plugin(t, h->what, canonical, because, e);
		break;
	case HELPER_FILE:
		r = tools_add_file(t, h->what, because, e);
		break;
	}
	if (r == 0)
		report_debug(t->report, "%s is not on this machine: %s (%s)", h->what, h->of, h->why);
	return r < 0 ? r : 0;
}

/* `name` is what the table knows it by: the file's own name, a link's, or a library's soname. */
static int add_helpers_of(struct tools *t, const char *name, const char *canonical, const struct reason *why,
			  struct error *e)
{
	for (const struct helper *h = helpers; h->of; h++) {
		if (!streq(h->of, name))
			continue;
		int r = add_helper(t, h, canonical, why, e);

		if (r < 0)
			return r;
	}
	return 0;
}

/* What came in since the last time. Each may bring more, also of those that were only looked at before. */
static int add_object_helpers(struct tools *t, struct error *e)
{
	const struct objects *objects = &t->libs.linker.objects;
	int r = 0;

	for (size_t i = 0; r == 0 && i < objects->count; i++) {
		struct object *o = objects->list[i];

		if (!o->reason || o->helped)
			continue;
		o->helped = true;
		r = opened_add(t, o, e);
		if (r == 0 && o->info.soname)
			r = add_helpers_of(t, o->info.soname, o->canonical, o->reason, e);
		i = (size_t)-1; /* from the beginning */
	}
	return r;
}

/* --- tools --- */

int tools_add_library_needs(struct tools *t, const char *canonical, const struct reason *why, struct error *e)
{
	int r = libs_add_needed(&t->libs, canonical, why, e);

	return r < 0 ? r : add_object_helpers(t, e);
}

int tools_add_needs(struct tools *t, const char *canonical, const struct reason *why, struct error *e)
{
	int r = libs_add_needed(&t->libs, canonical, why, e);

	if (r == 0)
		r = add_script_needs(t, canonical, why, e);
	if (r >= 0)
		r = add_object_helpers(t, e);
	return r;
}

/* Where the root has the program: 1 and the walk, or 0. Links in a circle are an error. */
static int find(const struct tools *t, const char *name, struct walk *ret, struct error *e)
{
	static const char *const folders[] = { "/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
					       "/usr/bin",        "/sbin",          "/bin" };
	struct error why;

	for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
		bool is_path = strchr(name, '/');
		_cleanup_(free) char *path = is_path ? xstrdup(name) : xasprintf("%s/%s", folders[i], name);
		_cleanup_(walk) struct walk w = { 0 };
		int r = root_walk(t->root, t->tree, path, &w, &why);

		if (r == -ELOOP) {
			*e = why;
			return r;
		}
		if (r == 0 && S_ISREG(w.st.st_mode) && (w.st.st_mode & 0111)) {
			*ret = w;
			w = (struct walk) { 0 };
			return 1;
		}
		if (is_path)
			break;
	}
	return 0;
}

int tools_add(struct tools *t, const char *name, const struct reason *because, struct error *e)
{
	_cleanup_(walk) struct walk w = { 0 };
	int r = find(t, name, &w, e);

	if (r <= 0)
		return r;
	bool known = tree_find(t->tree, w.canonical);
	const struct reason *why = tree_reason(t->tree, because, "tool %s", file_name(name));

	r = tree_add_walk(t->tree, t->root, &w, why, e);
	if (r == 0 && !known)
		r = tools_add_needs(t, w.canonical, why, e);
	if (r == 0 && !known)
		r = add_helpers_of(t, file_name(w.canonical), w.canonical, why, e);
	/* Known under another name, it may still be new under this one. */
	if (r == 0 && !streq(file_name(name), file_name(w.canonical)))
		r = add_helpers_of(t, file_name(name), w.canonical, why, e);
	return r < 0 ? r : 1;
}

int tools_add_library(struct tools *t, const char *tool, const char *name, const struct reason *because,
		      struct error *e)
{
	_cleanup_(walk) struct walk w = { 0 };
	int r = find(t, tool, &w, e);

	if (r > 0)
		r = libs_add_opened(&t->libs, w.canonical, name, because, e);
	return r;
}

/* --- files --- */

static int add_file(struct tools *t, const char *path, bool through_link, const struct reason *because,
		    struct error *e);

static int add_folder_content(struct tools *t, const char *canonical, const struct reason *why,
			      struct error *e)
{
	_cleanup_(strlist) struct strlist names = { 0 };
	int fd = openat(t->root->fd, canonical, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	int r = 0;

	if (!d && errno == ENOENT && tree_find(t->tree, canonical))
		return 0; /* an overlay's own folder: all of it is in the tree */
	if (!d)
		return error_errno(e, errno, "read folder %s/%s", t->root->path, canonical);
	for (const struct dirent *entry; (entry = readdir(d));)
		if (!streq(entry->d_name, ".") && !streq(entry->d_name, ".."))
			strlist_add(&names, entry->d_name);
	(void)closedir(d); /* read side */
	strlist_sort(&names);
	for (size_t i = 0; r >= 0 && i < names.count; i++) {
		_cleanup_(free) char *path = xasprintf("%s/%s", canonical, names.items[i]);

		r = add_file(t, path, false, why, e);
	}
	return r;
}

/* Plug-ins are libraries that nobody needs by name, and mostly cannot be executed. */
static int add_library_file(struct tools *t, const char *canonical, const struct reason *why, struct error *e)
{
	return strstr(file_name(canonical), ".so") ? tools_add_library_needs(t, canonical, why, e) : 0;
}

/* A folder is walked into; through a link to one only when the person named that link: others may lead
 * in circles. */
static int add_file(struct tools *t, const char *path, bool through_link, const struct reason *because,
		    struct error *e)
{
	_cleanup_(walk) struct walk w = { 0 };
	struct error why_not;
	int r = root_walk(t->root, t->tree, path, &w, &why_not);

	if (r == -ENOENT || r == -ENOTDIR)
		return 0;
	if (r < 0) {
		*e = why_not;
		return r;
	}
	const struct reason *why = tree_reason(t->tree, because, "file %s", path);
	bool known = tree_find(t->tree, w.canonical);

	r = tree_add_walk(t->tree, t->root, &w, why, e);
	if (r == 0 && S_ISDIR(w.st.st_mode) && (through_link || !w.links.count))
		r = add_folder_content(t, w.canonical, why, e);
	else if (r == 0 && !known && S_ISREG(w.st.st_mode))
		r = w.st.st_mode & 0111 ? tools_add_needs(t, w.canonical, why, e)
					: add_library_file(t, w.canonical, why, e);
	return r < 0 ? r : 1;
}

int tools_add_file(struct tools *t, const char *path, const struct reason *because, struct error *e)
{
	return add_file(t, path, true, because, e);
}
