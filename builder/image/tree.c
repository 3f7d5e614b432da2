#include "image/tree.h"

#include <errno.h>
#include <sys/stat.h>

enum { max_links = 40 }; /* as the kernel's own limit */

static void entry_free(struct entry *entry)
{
	if (!entry)
		return;
	free(entry->path);
	free(entry->source);
	free(entry->data);
	free(entry->further);
	free(entry);
}

void tree_free(struct tree *t)
{
	for (size_t i = 0; i < t->count; i++)
		entry_free(t->entries[i]);
	free(t->entries);
	for (size_t i = 0; i < t->reason_count; i++) {
		free(t->reasons[i]->text);
		free(t->reasons[i]);
	}
	free(t->reasons);
	map_free(&t->by_path);
	*t = (struct tree) { 0 };
}

/* Takes over `text`. */
static const struct reason *make_reason(struct tree *t, const struct reason *because, char *text)
{
	struct reason *r = xcalloc(1, sizeof(*r));

	*r = (struct reason) { because, text, t->reason_count };
	t->reasons = xgrow(t->reasons, t->reason_count + 1, &t->reason_capacity, sizeof(struct reason *));
	t->reasons[t->reason_count++] = r;
	return r;
}

__attribute__((format(printf, 1, 0))) static char *format_text(const char *fmt, va_list ap)
{
	char *text;

	if (vasprintf(&text, fmt, ap) < 0)
		abort(); /* as every allocation failure, see base/str.h */
	return text;
}

const struct reason *tree_reason(struct tree *t, const struct reason *because, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	char *text = format_text(fmt, ap);

	va_end(ap);
	return make_reason(t, because, text);
}

static void add_further(struct entry *entry, const struct reason *why)
{
	entry->further = xgrow(entry->further, entry->further_count + 1, &entry->further_capacity,
			       sizeof(*entry->further));
	entry->further[entry->further_count++] = why;
}

/* Only the very same is passed over: others may be the reason of something in turn. */
static void ask_again(struct entry *entry, const struct reason *why)
{
	if (!why || S_ISDIR(entry->mode) || entry->reason == why)
		return;
	for (size_t i = 0; i < entry->further_count; i++)
		if (entry->further[i] == why)
			return;
	add_further(entry, why);
}

void tree_also(struct tree *t, const char *path, const struct reason *because, const char *fmt, ...)
{
	_cleanup_(free) char *canonical = NULL;
	struct error ignored;
	va_list ap;

	va_start(ap, fmt);
	_cleanup_(free) char *text = format_text(fmt, ap);

	va_end(ap);
	struct entry *entry =
		tree_canonical(t, path, &canonical, &ignored) == 0 ? tree_find(t, canonical) : NULL;

	if (!entry || S_ISDIR(entry->mode))
		return;
	for (size_t i = 0; i <= entry->further_count; i++) {
		const struct reason *known = i ? entry->further[i - 1] : entry->reason;

		if (known && known->because == because && streq(known->text, text))
			return;
	}
	add_further(entry, make_reason(t, because, TAKE_PTR(text)));
}

static void add_reason(struct strbuf *b, const struct reason *reason)
{
	if (reason->because) {
		add_reason(b, reason->because);
		strbuf_puts(b, " → ");
	}
	strbuf_puts(b, reason->text);
}

char *reason_text(const struct reason *reason)
{
	struct strbuf b = { 0 };

	strbuf_puts(&b, "");
	if (reason)
		add_reason(&b, reason);
	return b.data;
}

struct entry *tree_find(const struct tree *t, const char *path)
{
	return map_get(&t->by_path, path);
}

const char *entry_name(const struct entry *entry)
{
	const char *slash = strrchr(entry->path, '/');

	return slash ? slash + 1 : entry->path;
}

const struct entry *tree_parent(const struct tree *t, const struct entry *entry)
{
	const char *slash = strrchr(entry->path, '/');

	if (!slash)
		return NULL;
	_cleanup_(free) char *path = xstrndup(entry->path, (size_t)(slash - entry->path));

	return tree_find(t, path); /* every folder is in the tree */
}

/* Cuts the last part off a canonical path. */
static void to_parent(struct strbuf *b)
{
	char *slash = b->data ? strrchr(b->data, '/') : NULL;

	b->len = slash ? (size_t)(slash - b->data) : 0;
	if (b->data)
		b->data[b->len] = '\0';
}

int tree_canonical(const struct tree *t, const char *path, char **ret, struct error *e)
{
	_cleanup_(strbuf) struct strbuf done = { 0 };
	_cleanup_(free) char *rest = xstrdup(path);
	unsigned links = 0;

	strbuf_puts(&done, "");
	for (char *at = rest;;) {
		at += strspn(at, "/");
		size_t n = strcspn(at, "/");
		bool last = at[n + strspn(at + n, "/")] == '\0';

		if (n == 0)
			break;
		if (n == 2 && memcmp(at, "..", 2) == 0)
			to_parent(&done);
		else if (n != 1 || *at != '.')
			strbuf_printf(&done, "%s%.*s", done.len ? "/" : "", (int)n, at);
		at += n;
		const struct entry *entry = last ? NULL : tree_find(t, done.data);

		if (!entry || S_ISDIR(entry->mode))
			continue;
		if (!S_ISLNK(entry->mode))
			return error_text(e, ENOTDIR, "add /%s to the image: /%s is not a folder there",
					  path + strspn(path, "/"), entry->path);
		if (++links > max_links)
			return error_errno(e, ELOOP, "add /%s to the image", path + strspn(path, "/"));
		if (entry->data[0] == '/')
			done.len = 0, done.data[0] = '\0';
		else
			to_parent(&done);
		char *longer = xasprintf("%s/%s", entry->data, at);

		free(rest);
		at = rest = longer;
	}
	*ret = TAKE_PTR(done.data);
	return 0;
}

static void insert(struct tree *t, struct entry *entry)
{
	t->entries = xgrow(t->entries, t->count + 1, &t->capacity, sizeof(struct entry *));
	t->entries[t->count++] = entry;
	map_put(&t->by_path, entry->path, entry);
}

/* The folders above a canonical path. */
static void add_parents(struct tree *t, const char *path, const struct reason *why)
{
	_cleanup_(free) char *parent = xstrdup(path);

	for (char *slash = strchr(parent, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (!tree_find(t, parent)) {
			struct entry *folder = xcalloc(1, sizeof(*folder));

			*folder = (struct entry) { .path = xstrdup(parent),
						   .mode = S_IFDIR | 0755,
						   .reason = why };
			insert(t, folder);
		}
		*slash = '/';
	}
}

/* Takes over `*made`, whose path is still as the caller gave it. */
static int add(struct tree *t, struct entry *made, struct error *e)
{
	_cleanup_(free) char *given = made->path;
	int r = tree_canonical(t, given, &made->path, e);

	if (r < 0) {
		made->path = NULL;
		entry_free(made);
		return r;
	}
	struct entry *old = tree_find(t, made->path);

	/* A folder may be reached through a link that stands for it. */
	if (old && S_ISLNK(old->mode) && S_ISDIR(made->mode)) {
		entry_free(made);
		return 0;
	}
	if (old && S_ISDIR(old->mode) != S_ISDIR(made->mode)) {
		r = error_text(e, S_ISDIR(old->mode) ? EISDIR : ENOTDIR,
			       "add /%s to the image: there is a %s of that name already", made->path,
			       S_ISDIR(old->mode) ? "folder" : "file");
		entry_free(made);
		return r;
	}
	if (!old) {
		add_parents(t, made->path, made->reason);
		insert(t, made);
		return 0;
	}
	if (t->replace) {
		/* The map's key stays the old one's. */
		free(old->source);
		free(old->data);
		free(old->further);
		free(made->path);
		made->path = old->path;
		*old = *made;
		free(made);
		return 0;
	}
	ask_again(old, made->reason);
	entry_free(made);
	return 0;
}

static struct entry *make(const char *path, mode_t mode, const struct reason *why)
{
	struct entry *entry = xcalloc(1, sizeof(*entry));

	*entry = (struct entry) { .path = xstrdup(path), .mode = mode, .reason = why };
	return entry;
}

int tree_add_folder(struct tree *t, const char *path, mode_t permissions, const struct reason *why,
		    struct error *e)
{
	return add(t, make(path, S_IFDIR | permissions, why), e);
}

static int add_source(struct tree *t, struct entry *entry, const char *source, uint64_t size, struct error *e)
{
	entry->source = xstrdup(source);
	entry->size = size;
	return add(t, entry, e);
}

int tree_add_file(struct tree *t, const char *path, mode_t permissions, const char *source, uint64_t size,
		  const struct reason *why, struct error *e)
{
	return add_source(t, make(path, S_IFREG | permissions, why), source, size, e);
}

int tree_add_packed(struct tree *t, const char *path, mode_t permissions, const char *source, uint64_t size,
		    const struct reason *why, struct error *e)
{
	struct entry *entry = make(path, S_IFREG | permissions, why);

	entry->packed = true;
	return add_source(t, entry, source, size, e);
}

int tree_add_data(struct tree *t, const char *path, mode_t permissions, const void *data, size_t len,
		  const struct reason *why, struct error *e)
{
	struct entry *entry = make(path, S_IFREG | permissions, why);

	entry->data = xmalloc(len + 1);
	memcpy(entry->data, data, len);
	entry->data[len] = '\0';
	entry->size = len;
	return add(t, entry, e);
}

int tree_add_link(struct tree *t, const char *path, const char *target, const struct reason *why,
		  struct error *e)
{
	struct entry *entry = make(path, S_IFLNK | 0777, why);

	entry->data = xstrdup(target);
	entry->size = strlen(target);
	return add(t, entry, e);
}

int tree_add_device(struct tree *t, const char *path, mode_t mode, dev_t rdev, const struct reason *why,
		    struct error *e)
{
	struct entry *entry = make(path, mode, why);

	entry->rdev = rdev;
	return add(t, entry, e);
}

static int by_path(const void *a, const void *b)
{
	return strcmp((*(struct entry *const *)a)->path, (*(struct entry *const *)b)->path);
}

void tree_sort(struct tree *t)
{
	if (t->count)
		qsort(t->entries, t->count, sizeof(struct entry *), by_path);
	for (size_t i = 0; i < t->count; i++)
		t->entries[i]->index = i;
}

static const char *type_name(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "file";
	case S_IFDIR:
		return "folder";
	case S_IFLNK:
		return "link";
	case S_IFCHR:
	case S_IFBLK:
		return "device";
	default:
		return "other";
	}
}

void tree_list(const struct tree *t, struct strbuf *ret)
{
	for (size_t i = 0; i < t->count; i++) {
		const struct entry *entry = t->entries[i];
		_cleanup_(free) char *why = reason_text(entry->reason);

		strbuf_printf(ret, "/%s\t%s\t%04o\t%llu\t%s\n", entry->path, type_name(entry->mode),
			      (unsigned)entry->mode & 07777, (unsigned long long)entry->size, why);
	}
}
