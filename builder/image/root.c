#include "image/root.h"

#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>

enum { max_links = 40 };

int root_open(const char *path, struct root *ret, struct error *e)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return error_errno(e, errno, "open the root folder %s", path);
	char *copy = xstrdup(path);
	size_t n = strlen(copy);

	while (n && copy[n - 1] == '/')
		copy[--n] = '\0';
	*ret = (struct root) { fd, copy };
	return 0;
}

void root_close(struct root *root)
{
	if (root->fd >= 0)
		(void)close(root->fd); /* read side */
	free(root->path);
	*root = (struct root)ROOT_NONE;
}

void walk_free(struct walk *w)
{
	free(w->canonical);
	strlist_free(&w->links);
	*w = (struct walk) { 0 };
}

char *root_host_path(const struct root *root, const char *canonical)
{
	return xasprintf("%s/%s", root ? root->path : "", canonical);
}

/* The state of a walk: `done` is canonical, `rest` is still to go. */
struct progress {
	struct strbuf done;
	char *rest, *at;
	unsigned links;
};

static void progress_free(struct progress *p)
{
	strbuf_free(&p->done);
	free(p->rest);
}
DEFINE_CLEANUP(progress, struct progress, progress_free)

static void to_parent(struct strbuf *b)
{
	char *slash = strrchr(b->data, '/');

	b->len = slash ? (size_t)(slash - b->data) : 0;
	b->data[b->len] = '\0';
}

/* `done` is a link to `target`: go there. */
static int follow(struct progress *p, const char *target)
{
	if (++p->links > max_links)
		return -ELOOP;
	if (target[0] == '/')
		p->done.len = 0, p->done.data[0] = '\0';
	else
		to_parent(&p->done);
	char *longer = xasprintf("%s/%s", target, p->at);

	free(p->rest);
	p->rest = p->at = longer;
	return 0;
}

/* What stands at a canonical path: the tree's before the root's. 0, or a negative errno. */
static int look_at(const struct root *root, const struct entry *ours, const char *path, struct stat *ret)
{
	if (!ours && !root)
		return -ENOENT;
	if (!ours)
		return fstatat(root->fd, path, ret, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
	*ret = (struct stat) { .st_mode = ours->mode, .st_size = (off_t)ours->size };
	return 0;
}

/* Looks at `done`, which was just reached by its last part. 0, or a negative errno. */
static int look(const struct root *root, const struct tree *tree, struct progress *p, struct walk *w)
{
	char target[PATH_MAX];
	const struct entry *ours = tree ? tree_find(tree, p->done.data) : NULL;

	if (ours && S_ISLNK(ours->mode))
		return follow(p, ours->data);
	int r = look_at(root, ours, p->done.data, &w->st);

	if (r < 0)
		return r;
	if (!S_ISLNK(w->st.st_mode))
		return !S_ISDIR(w->st.st_mode) && p->at[strspn(p->at, "/")] ? -ENOTDIR : 0;
	ssize_t n = readlinkat(root->fd, p->done.data, target, sizeof(target) - 1);

	if (n < 0)
		return -errno;
	target[n] = '\0';
	strlist_add(&w->links, p->done.data);
	strlist_add(&w->links, target);
	return follow(p, target);
}

int root_walk(const struct root *root, const struct tree *tree, const char *path, struct walk *ret,
	      struct error *e)
{
	_cleanup_(progress) struct progress p = { .rest = xstrdup(path) };
	_cleanup_(walk) struct walk w = { 0 };
	const char *shown = path + strspn(path, "/");

	strbuf_puts(&p.done, "");
	p.at = p.rest;
	w.st.st_mode = S_IFDIR | 0755; /* the root itself */
	for (;;) {
		p.at += strspn(p.at, "/");
		size_t n = strcspn(p.at, "/");
		const char *part = p.at;

		if (n == 0)
			break;
		p.at += n;
		if (n == 1 && *part == '.')
			continue;
		if (n == 2 && part[0] == '.' && part[1] == '.') {
			to_parent(&p.done);
			continue;
		}
		strbuf_printf(&p.done, "%s%.*s", p.done.len ? "/" : "", (int)n, part);
		int r = look(root, tree, &p, &w);

		if (r < 0)
			return error_errno(e, -r, "read %s/%s", root ? root->path : "", shown);
	}
	/* A path that ends in ".." stands on a folder that was not looked at. */
	int r = p.done.len ? look_at(root, tree ? tree_find(tree, p.done.data) : NULL, p.done.data, &w.st)
			   : 0;

	if (r < 0)
		return error_errno(e, -r, "read %s/%s", root ? root->path : "", shown);
	w.canonical = TAKE_PTR(p.done.data);
	*ret = w;
	w = (struct walk) { 0 };
	return 0;
}

int root_read(const struct root *root, const struct tree *tree, const char *path, size_t max, char **ret,
	      size_t *ret_len, struct error *e)
{
	_cleanup_(walk) struct walk w = { 0 };
	struct error ignored;

	if (root_walk(root, tree, path, &w, &ignored) < 0 || !S_ISREG(w.st.st_mode))
		return 0;
	const struct entry *ours = tree ? tree_find(tree, w.canonical) : NULL;
	int r = 0;

	if (!ours)
		r = read_file_at(root->fd, w.canonical, max, ret, ret_len, e);
	else if (ours->source)
		r = read_file_at(AT_FDCWD, ours->source, max, ret, ret_len, e);
	if (r < 0)
		return r;
	if (ours && !ours->source) {
		*ret = xmalloc(ours->size + 1);
		memcpy(*ret, ours->data, ours->size);
		(*ret)[ours->size] = '\0';
		*ret_len = ours->size;
	}
	return 1;
}

int tree_add_walk(struct tree *t, const struct root *root, const struct walk *w, const struct reason *why,
		  struct error *e)
{
	for (size_t i = 0; i < w->links.count; i += 2) {
		int r = tree_add_link(t, w->links.items[i], w->links.items[i + 1], why, e);

		if (r < 0)
			return r;
	}
	_cleanup_(free) char *source = root_host_path(root, w->canonical);

	if (S_ISDIR(w->st.st_mode))
		return tree_add_folder(t, w->canonical, w->st.st_mode & 07777, why, e);
	if (!S_ISREG(w->st.st_mode))
		return error_text(e, EINVAL, "pack %s: neither a file nor a folder", source);
	return tree_add_file(t, w->canonical, w->st.st_mode & 07777, source, (uint64_t)w->st.st_size, why, e);
}

int tree_add_from_root(struct tree *t, const struct root *root, const char *path, const struct reason *why,
		       char **ret_canonical, struct error *e)
{
	_cleanup_(walk) struct walk w = { 0 };
	int r = root_walk(root, t, path, &w, e);

	if (r == 0)
		r = tree_add_walk(t, root, &w, why, e);
	if (r < 0)
		return r;
	if (ret_canonical)
		*ret_canonical = TAKE_PTR(w.canonical);
	return 0;
}
