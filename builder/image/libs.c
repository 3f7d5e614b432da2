#include "image/libs.h"

#include "base/fs.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <dirent.h>

enum { max_conf = 1 << 20, max_includes = 8 };

/* --- ld.so.conf --- */

static int read_conf(struct libs *l, const char *path, unsigned depth, struct error *e);

/* `include PATTERN`: the pattern's last part may hold wildcards; names are taken in byte order. */
static int include(struct libs *l, const char *pattern, unsigned depth, struct error *e)
{
	const char *slash = strrchr(pattern, '/');
	_cleanup_(free) char *folder = slash ? xstrndup(pattern, (size_t)(slash - pattern)) : xstrdup("/etc");
	_cleanup_(walk) struct walk w = { 0 };
	_cleanup_(strlist) struct strlist names = { 0 };
	struct error ignored;
	int r = 0;

	if (root_walk(l->root, NULL, folder, &w, &ignored) < 0)
		return 0; /* as ldconfig: nothing matches */
	int fd = openat(l->root->fd, *w.canonical ? w.canonical : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d)
		return error_errno(e, errno, "read folder %s%s", l->root->path, folder);
	for (const struct dirent *entry; (entry = readdir(d));)
		if (fnmatch(slash ? slash + 1 : pattern, entry->d_name, FNM_PERIOD) == 0)
			strlist_add(&names, entry->d_name);
	(void)closedir(d); /* read side */
	strlist_sort(&names);
	for (size_t i = 0; r == 0 && i < names.count; i++) {
		_cleanup_(free) char *path = xasprintf("%s/%s", folder, names.items[i]);

		r = read_conf(l, path, depth + 1, e);
	}
	return r;
}

static int read_conf(struct libs *l, const char *path, unsigned depth, struct error *e)
{
	_cleanup_(walk) struct walk w = { 0 };
	_cleanup_(free) char *text = NULL;
	struct error ignored;

	if (depth > max_includes)
		return error_errno(e, ELOOP, "read %s%s", l->root->path, path);
	if (root_walk(l->root, NULL, path, &w, &ignored) < 0)
		return 0; /* there need not be any */
	int r = read_file_at(l->root->fd, w.canonical, max_conf, &text, NULL, e);

	for (char *rest = text, *line; r == 0 && (line = strsep(&rest, "\n"));) {
		line[strcspn(line, "#")] = '\0';
		line = str_strip(line);
		const char *pattern = str_after(line, "include");

		if (pattern && (*pattern == ' ' || *pattern == '\t'))
			r = include(l, pattern + strspn(pattern, " \t"), depth, e);
		else if (*line == '/')
			strlist_add_once(&l->conf, line);
	}
	return r;
}

int libs_open(const struct root *root, struct tree *tree, struct libs *ret, struct error *e)
{
	_cleanup_(libs) struct libs l = { .root = root, .tree = tree };
	int r = read_conf(&l, "/etc/ld.so.conf", 0, e);

	if (r < 0)
		return r;
	*ret = l;
	l = (struct libs) { 0 };
	return 0;
}

void libs_close(struct libs *l)
{
	for (size_t i = 0; i < l->count; i++) {
		free(l->objects[i]->canonical);
		elf_info_free(&l->objects[i]->info);
		free(l->objects[i]);
	}
	free(l->objects);
	strlist_free(&l->conf);
	map_free(&l->by_path);
	map_free(&l->by_name);
	strlist_free(&l->names);
	*l = (struct libs) { 0 };
}

/* --- one object --- */

/* Reads each file once. */
static int get_object(struct libs *l, const char *canonical, struct object **ret, struct error *e)
{
	struct object *known = map_get(&l->by_path, canonical);

	if (known) {
		*ret = known;
		return 0;
	}
	_cleanup_(free) char *shown = root_host_path(l->root, canonical);
	_cleanup_(fd) int fd = openat(l->root->fd, canonical, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return error_errno(e, errno, "open %s", shown);
	struct elf_info info = { 0 };
	int r = elf_read(fd, shown, &info, e);

	if (r < 0)
		return r;
	struct object *o = xcalloc(1, sizeof(*o));

	*o = (struct object) { .canonical = xstrdup(canonical), .info = info, .is_elf = r == 1 };
	l->objects = xgrow(l->objects, l->count + 1, &l->capacity, sizeof(struct object *));
	l->objects[l->count++] = o;
	map_put(&l->by_path, o->canonical, o);
	*ret = o;
	return 0;
}

/* --- one process: what the loader would have mapped --- */

struct loaded {
	const struct object *object;
	const char *name; /* as it was asked for; NULL: the program itself */
	size_t by; /* index of the one that asked; its own index for the program */
};
struct process {
	struct loaded *list;
	size_t count, capacity;
};

static void process_free(struct process *p)
{
	free(p->list);
}
DEFINE_CLEANUP(process, struct process, process_free)

static void load(struct process *p, const struct object *object, const char *name, size_t by)
{
	p->list = xgrow(p->list, p->count + 1, &p->capacity, sizeof(*p->list));
	p->list[p->count++] = (struct loaded) { object, name, by };
}

/* The object that a name stands for already, or NULL. */
static const struct object *find_loaded(const struct process *p, const char *name)
{
	for (size_t i = 0; i < p->count; i++) {
		const struct loaded *one = &p->list[i];

		if ((one->name && streq(one->name, name)) ||
		    (one->object->info.soname && streq(one->object->info.soname, name)))
			return one->object;
	}
	return NULL;
}

/* One search: for `name`, of the kind of `like`. */
struct search {
	struct libs *l;
	const char *name;
	const struct object *like;
	const struct reason *why; /* of what asks for it */
	bool from_conf;
	struct error *e;
};

/* Looks for FOLDER/NAME. Returns 1 when it is there and of the right kind: it is in the tree then. */
static int try_folder(const struct search *s, const char *folder, struct object **ret)
{
	_cleanup_(free) char *path = xasprintf("%s/%s", folder, s->name);
	_cleanup_(walk) struct walk w = { 0 };
	struct error ignored;
	struct object *o;

	if (root_walk(s->l->root, s->l->tree, path, &w, &ignored) < 0 || !S_ISREG(w.st.st_mode))
		return 0;
	int r = get_object(s->l, w.canonical, &o, s->e);

	if (r < 0)
		return r;
	if (!o->is_elf || o->info.class != s->like->info.class || o->info.machine != s->like->info.machine)
		return 0;
	if (!o->reason) {
		o->reason = tree_reason(s->l->tree, s->why, "library %s", s->name);
		o->from_conf = s->from_conf;
	}
	r = tree_add_walk(s->l->tree, s->l->root, &w, o->reason, s->e);
	if (r < 0)
		return r;
	*ret = o;
	return 1;
}

/* Replaces $ORIGIN by the object's folder. NULL: the folder holds a token that is not known. */
static char *expand(const char *folder, const struct object *o)
{
	static const char *const tokens[] = { "${ORIGIN}", "$ORIGIN" };
	struct strbuf b = { 0 };

	strbuf_puts(&b, "");
	for (const char *p = folder; *p;) {
		const char *after = str_after(p, tokens[0]);

		after = after ? after : str_after(p, tokens[1]);
		if (after) {
			const char *slash = strrchr(o->canonical, '/');

			strbuf_printf(&b, "/%.*s", slash ? (int)(slash - o->canonical) : 0, o->canonical);
			p = after;
			continue;
		}
		if (*p == '$') {
			strbuf_free(&b);
			return NULL;
		}
		strbuf_add(&b, p++, 1);
	}
	return b.data;
}

/* A colon-separated DT_RPATH or DT_RUNPATH of `o`. */
static int try_path(const struct search *s, const char *path, const struct object *o, struct object **ret)
{
	_cleanup_(free) char *copy = xstrdup(path);

	for (char *rest = copy, *folder; (folder = strsep(&rest, ":"));) {
		_cleanup_(free) char *full = expand(folder, o);

		if (!full || full[0] != '/') /* relative ones would depend on who calls */
			continue;
		int r = try_folder(s, full, ret);

		if (r != 0)
			return r;
	}
	return 0;
}

static const char *triplet(const struct object *o)
{
	switch (o->info.machine) {
	case EM_X86_64:
		return o->info.class == ELFCLASS64 ? "x86_64-linux-gnu" : "x86_64-linux-gnux32";
	case EM_386:
		return "i386-linux-gnu";
	case EM_AARCH64:
		return "aarch64-linux-gnu";
	case EM_ARM:
		return "arm-linux-gnueabihf";
	default:
		return NULL;
	}
}

/* The folders that the loaders of the distributions have built in. Libraries of the wrong kind
 * are passed over, so that /lib64 and /lib may stand in one list. */
static int try_default(const struct search *s, struct object **ret)
{
	static const char *const folders[] = { "/lib/%",     "/usr/lib/%", "/lib64",
					       "/usr/lib64", "/lib",       "/usr/lib" };
	const char *multiarch = triplet(s->like);

	for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
		size_t n = strcspn(folders[i], "%");
		bool with = folders[i][n] != '\0';

		if ((with && !multiarch) || (strstr(folders[i], "64") && s->like->info.class != ELFCLASS64))
			continue;
		_cleanup_(free) char *folder = xasprintf("%.*s%s", (int)n, folders[i], with ? multiarch : "");
		int r = try_folder(s, folder, ret);

		if (r != 0)
			return r;
	}
	return 0;
}

/* What every object finds: ld.so.conf and the defaults. Asked for often, so the answer is kept. */
static int try_general(struct search *s, struct object **ret)
{
	struct object *known = map_get(&s->l->by_name, s->name);
	int r = 0;

	if (known && known->info.class == s->like->info.class &&
	    known->info.machine == s->like->info.machine) {
		*ret = known;
		return 1;
	}
	s->from_conf = true;
	for (size_t i = 0; r == 0 && i < s->l->conf.count; i++)
		r = try_folder(s, s->l->conf.items[i], ret);
	s->from_conf = false;
	if (r == 0)
		r = try_default(s, ret);
	if (r == 1 && !known) {
		strlist_add(&s->l->names, s->name);
		map_put(&s->l->by_name, s->l->names.items[s->l->names.count - 1], *ret);
	}
	return r;
}

/* ld.so(8)'s order, for what the object at index `by` asks. 1, 0 (nowhere) or a negative errno. */
static int search(struct search *s, const struct process *p, size_t by, struct object **ret)
{
	const struct object *asking = p->list[by].object;
	int r = 0;

	if (strchr(s->name, '/'))
		return s->name[0] == '/' ? try_folder(s, "", ret) : 0;
	if (!asking->info.runpath)
		for (size_t i = by;; i = p->list[i].by) {
			const struct object *o = p->list[i].object;

			if (o->info.rpath && !o->info.runpath)
				r = try_path(s, o->info.rpath, o, ret);
			if (r != 0 || p->list[i].by == i)
				break;
		}
	else
		r = try_path(s, asking->info.runpath, asking, ret);
	return r != 0 ? r : try_general(s, ret);
}

/* Takes in what the objects from index `from` on need, and what those need. */
static int close_over(struct libs *l, struct process *p, size_t from, struct error *e)
{
	for (size_t i = from; i < p->count; i++) {
		const struct object *o = p->list[i].object;

		for (size_t n = 0; n < o->info.needed.count; n++) {
			const char *name = o->info.needed.items[n];
			struct search s = { l, name, o, o->reason, false, e };
			const struct object *loaded = find_loaded(p, name);
			struct object *found = NULL;

			if (loaded) {
				tree_also(l->tree, loaded->canonical, o->reason, "library %s", name);
				continue;
			}
			int r = search(&s, p, i, &found);

			if (r < 0)
				return r;
			if (r == 0)
				return error_text(e, ENOENT,
						  "pack %s/%s: its library %s is in no folder of ld.so",
						  l->root->path, o->canonical, name);
			tree_also(l->tree, found->canonical, o->reason, "library %s", name);
			load(p, found, name, i);
		}
	}
	return 0;
}

/* Links beside the C library for what only ld.so.conf finds. */
static int link_conf_libraries(struct libs *l, const struct process *p, struct error *e)
{
	const struct object *libc = map_get(&l->by_name, "libc.so.6");

	for (size_t i = 0; libc && i < p->count; i++) {
		const struct loaded *one = &p->list[i];

		if (!one->object->from_conf || !one->name)
			continue;
		const char *slash = strrchr(libc->canonical, '/');
		_cleanup_(free) char *link = xasprintf("%.*s/%s", slash ? (int)(slash - libc->canonical) : 0,
						       libc->canonical, one->name);
		_cleanup_(free) char *target = xasprintf("/%s", one->object->canonical);
		_cleanup_(walk) struct walk w = { 0 };
		struct error ignored;

		/* Debian's ld.so.conf names the default folders as well. */
		if (root_walk(l->root, l->tree, link, &w, &ignored) == 0 &&
		    streq(w.canonical, one->object->canonical))
			continue;
		if (tree_find(l->tree, link))
			return error_text(e, EEXIST, "pack library %s: both /%s and %s are needed", one->name,
					  link, target);
		int r = tree_add_link(l->tree, link, target,
				      tree_reason(l->tree, one->object->reason, "found without ld.so.cache"),
				      e);

		if (r < 0)
			return r;
	}
	return 0;
}

/* The program itself and its loader, which is a library of that process as well. */
static int start_process(struct libs *l, struct object *program, struct process *p, struct error *e)
{
	_cleanup_(free) char *canonical = NULL;
	const char *interpreter = program->info.interpreter;
	struct object *loader;

	load(p, program, NULL, 0);
	if (!interpreter)
		return 0;
	const struct reason *why = tree_reason(l->tree, program->reason, "interpreter %s", interpreter);
	int r = tree_add_from_root(l->tree, l->root, interpreter, why, &canonical, e);

	if (r >= 0)
		r = get_object(l, canonical, &loader, e);
	if (r < 0) {
		error_prefix(e, "pack %s/%s", l->root->path, program->canonical);
		return r;
	}
	if (!loader->reason)
		loader->reason = why;
	load(p, loader, interpreter, 0);
	return 0;
}

static int get_program(struct libs *l, const char *canonical, const struct reason *why, struct object **ret,
		       struct error *e)
{
	int r = get_object(l, canonical, ret, e);

	if (r == 0 && !(*ret)->reason)
		(*ret)->reason = why;
	return r;
}

int libs_add_needed(struct libs *l, const char *canonical, const struct reason *why, struct error *e)
{
	_cleanup_(process) struct process p = { 0 };
	struct object *program;
	int r = get_program(l, canonical, why, &program, e);

	if (r < 0 || !program->is_elf)
		return r;
	r = start_process(l, program, &p, e);
	if (r == 0)
		r = close_over(l, &p, 0, e);
	if (r == 0)
		r = link_conf_libraries(l, &p, e);
	return r < 0 ? r : 1;
}

int libs_add_opened(struct libs *l, const char *canonical, const char *name, const struct reason *why,
		    struct error *e)
{
	_cleanup_(process) struct process p = { 0 };
	struct object *opener, *found = NULL;
	int r = get_program(l, canonical, why, &opener, e);

	if (r < 0 || !opener->is_elf)
		return r;
	load(&p, opener, NULL, 0);
	struct search s = { l, name, opener, why, false, e };

	r = search(&s, &p, 0, &found);
	if (r <= 0)
		return r;
	tree_also(l->tree, found->canonical, why, "library %s", name);
	load(&p, found, name, 0);
	r = close_over(l, &p, 1, e);
	if (r == 0)
		r = link_conf_libraries(l, &p, e);
	return r < 0 ? r : 1;
}
