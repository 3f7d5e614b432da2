#include "backup/dump_tree.h"

#include "backup/dump_reader.h"
#include "base/number.h"

#include <errno.h>
#include <stdlib.h>

enum { root_ino = 2, depth_max = 5000, target_max = 4096 };

struct node {
	struct listed f; /* without path */
	char *names; /* of a folder: for each entry 4 bytes of inode, name, NUL */
	uint32_t names_len;
	bool fresh; /* from the stream, not from the base */
	bool walked; /* a folder that is on the way, or done */
};

struct dump_tree {
	struct node *nodes;
	size_t count;
	struct spill all, texts; /* where these, their targets and names lie */
	uint32_t *table; /* open addressing: index of a node + 1, by inode; a power of two */
	size_t table_size;
	struct spill table_room; /* where it lies */
	struct error table_lost; /* what happened to the smaller ones before it */
	/* of the inode that is being read */
	struct digest *digest;
	struct strbuf content; /* of a folder or a link */
	char *zeros;
};

struct dump_tree *dump_tree_new(void)
{
	return xcalloc(1, sizeof(struct dump_tree));
}

void dump_tree_free(struct dump_tree *t)
{
	if (!t)
		return;
	spill_free(&t->all);
	spill_free(&t->texts);
	spill_free(&t->table_room);
	free(t->zeros);
	digest_free(t->digest);
	strbuf_free(&t->content);
	free(t);
}

int dump_tree_sound(const struct dump_tree *t, struct error *e)
{
	int r = spill_check(&t->all, e);

	if (r == 0)
		r = spill_check(&t->texts, e);
	if (r == 0)
		r = spill_check(&t->table_room, e);
	if (r < 0 || !t->table_lost.code)
		return r;
	*e = t->table_lost;
	return -e->code;
}

/* ---- nodes by inode ---- */

static uint32_t *slot(const struct dump_tree *t, uint64_t ino)
{
	size_t i = (size_t)(ino * 0x9E3779B97F4A7C15u >> 20) & (t->table_size - 1);

	while (t->table[i] && t->nodes[t->table[i] - 1].f.ino != ino)
		i = (i + 1) & (t->table_size - 1);
	return &t->table[i];
}

static struct node *find(const struct dump_tree *t, uint64_t ino)
{
	if (!t->table_size)
		return NULL;
	uint32_t *s = slot(t, ino);

	return *s ? &t->nodes[*s - 1] : NULL;
}

static void grow_table(struct dump_tree *t)
{
	if (!t->table_lost.code)
		(void)spill_check(&t->table_room, &t->table_lost); /* dump_tree_sound() tells */
	spill_free(&t->table_room);
	t->table_size = t->table_size ? t->table_size * 2 : 1024;
	t->table = spill_more(&t->table_room, t->table_size * sizeof(*t->table));
	for (size_t i = 0; i < t->count; i++)
		*slot(t, t->nodes[i].f.ino) = (uint32_t)i + 1;
}

/* The node of the inode, made when there is none. */
static struct node *make(struct dump_tree *t, uint64_t ino)
{
	if (t->count * 2 >= t->table_size)
		grow_table(t);
	uint32_t *s = slot(t, ino);

	if (!*s) {
		struct node *n = spill_more(&t->all, sizeof(*n));

		n->f.ino = ino;
		t->nodes = t->all.data;
		*s = (uint32_t)++t->count;
	}
	return &t->nodes[*s - 1];
}

static void add_name(struct strbuf *names, uint32_t ino, const char *name)
{
	strbuf_add(names, &ino, sizeof(ino));
	strbuf_add(names, name, strlen(name) + 1);
}

static void set_names(struct dump_tree *t, struct node *n, const struct strbuf *names)
{
	n->names = names->len ? spill_put(&t->texts, names->data, names->len) : NULL;
	n->names_len = (uint32_t)names->len;
}

/* ---- from the stream ---- */

static int on_begin(void *user, const struct dump_inode *inode, struct error *e)
{
	struct dump_tree *t = user;
	struct node *n = make(t, inode->ino);

	if (n->fresh)
		return error_text(e, EBADMSG, "inode %u is in the dump twice", inode->ino);
	*n = (struct node) { .fresh = true,
			     .f = { .ino = inode->ino,
				    .mode = inode->mode,
				    .uid = inode->uid,
				    .gid = inode->gid,
				    .nlink = inode->nlink,
				    .size = inode->size,
				    .mtime = { .tv_sec = (time_t)inode->mtime },
				    .device = inode->device,
				    .start = inode->start } };
	t->content.len = 0;
	if (S_ISREG(inode->mode)) {
		digest_free(t->digest);
		t->digest = digest_new();
	}
	return 0;
}

static void digest_zeros(struct dump_tree *t, size_t len)
{
	enum { zeros = 64 << 10 };

	if (!t->zeros)
		t->zeros = xcalloc(1, zeros);
	for (size_t n; len > 0; len -= n) {
		n = len < zeros ? len : zeros;
		digest_add(t->digest, t->zeros, n);
	}
}

static int on_data(void *user, const char *data, size_t len, struct error *e)
{
	struct dump_tree *t = user;

	if (t->digest && data)
		digest_add(t->digest, data, len);
	else if (t->digest)
		digest_zeros(t, len);
	else if (!data)
		return error_text(e, EBADMSG, "a hole in what is no file");
	else
		strbuf_add(&t->content, data, len);
	return 0;
}

/* The names of a folder: entries of 4.2BSD (inode, 16 bits of the entry's length, type, length of the name, name) in
 * blocks of 512 bytes; inode 0 is none. */
static int take_names(struct dump_tree *t, struct node *n, struct error *e)
{
	_cleanup_(strbuf) struct strbuf names = { 0 };
	size_t at = 0;

	while (at + 8 <= t->content.len) {
		const char *p = t->content.data + at;
		char name[256] = { 0 };
		uint32_t ino = le32_at(p);
		uint16_t len = le16_at(p + 4);
		size_t name_len = (unsigned char)p[7];

		if (len < 8 || len > t->content.len - at || name_len > len - 8u)
			return error_text(e, EBADMSG, "inode %llu: a damaged folder",
					  (unsigned long long)n->f.ino);
		memcpy(name, p + 8, name_len);
		if (ino && (strlen(name) != name_len || strchr(name, '/') || !name_len))
			return error_text(e, EBADMSG, "inode %llu: a folder with a bad name",
					  (unsigned long long)n->f.ino);
		if (ino && !streq(name, ".") && !streq(name, ".."))
			add_name(&names, ino, name);
		at += len;
	}
	set_names(t, n, &names);
	return 0;
}

static int on_end(void *user, const struct dump_inode *inode, uint64_t end, struct error *e)
{
	struct dump_tree *t = user;
	struct node *n = find(t, inode->ino);

	n->f.end = end;
	if (S_ISREG(inode->mode)) {
		digest_bytes(t->digest, n->f.sha);
		n->f.has_sha = true;
		digest_free(TAKE_PTR(t->digest));
	} else if (S_ISLNK(inode->mode)) {
		if (!t->content.len || t->content.len > target_max ||
		    memchr(t->content.data, '\0', t->content.len))
			return error_text(e, EBADMSG, "inode %u: a damaged link", inode->ino);
		n->f.target = spill_more(&t->texts, t->content.len + 1); /* its end is zero */
		memcpy(n->f.target, t->content.data, t->content.len);
	} else if (S_ISDIR(inode->mode)) {
		return take_names(t, n, e);
	}
	return 0;
}

int dump_tree_read(struct dump_tree *t, const struct pull *in, int64_t *ret_date, struct error *e)
{
	const struct dump_calls calls = { .begin = on_begin, .data = on_data, .end = on_end, .user = t };
	struct dump_dates dates = { 0 };
	int r = dump_read(in, &calls, &dates, e);

	if (r == 0 && ret_date)
		*ret_date = dates.date;
	return r;
}

/* ---- from the listing below ---- */

struct level {
	size_t path_len;
	uint64_t ino;
	struct strbuf names;
};

static void close_level(struct dump_tree *t, struct level *l)
{
	set_names(t, find(t, l->ino), &l->names);
	strbuf_free(&l->names);
}

/* The listing is in the order of a walk: of the folders that are open, each holds the next. */
void dump_tree_base(struct dump_tree *t, const struct listing *base)
{
	struct level *open = NULL;
	size_t depth = 0, capacity = 0;

	for (size_t i = 0; i < base->count; i++) {
		const struct listed *f = &base->items[i];
		struct node *n = make(t, f->ino);
		const char *name = strrchr(f->path, '/');

		n->f = *f;
		n->f.path = NULL;
		n->f.target = f->target ? spill_put(&t->texts, f->target, strlen(f->target) + 1) : NULL;
		n->f.back++;
		while (depth > 0 && name &&
		       !(strlen(f->path) > open[depth - 1].path_len &&
			 (size_t)(name - f->path) == open[depth - 1].path_len))
			close_level(t, &open[--depth]);
		if (depth > 0 && name)
			add_name(&open[depth - 1].names, (uint32_t)f->ino, name + 1);
		if (!S_ISDIR(f->mode))
			continue;
		open = xgrow(open, depth + 1, &capacity, sizeof(*open));
		open[depth++] = (struct level) { .path_len = strlen(f->path), .ino = f->ino };
	}
	while (depth > 0)
		close_level(t, &open[--depth]);
	free(open);
}

/* ---- from the disk ---- */

bool dump_tree_note(struct dump_tree *t, const struct stat *st, const unsigned char *xattrs)
{
	struct node *n = find(t, st->st_ino);

	/* of 64 bits of seconds dump(8) keeps 32 */
	if (!n || (n->f.mode & S_IFMT) != (st->st_mode & S_IFMT) ||
	    (uint32_t)n->f.mtime.tv_sec != (uint32_t)st->st_mtim.tv_sec)
		return false;
	n->f.mtime = st->st_mtim;
	n->f.has_xattrs = xattrs != NULL;
	if (xattrs)
		memcpy(n->f.xattrs, xattrs, LISTING_XATTRS);
	return true;
}

bool dump_tree_missed(const struct dump_tree *t, const struct stat *st, int64_t since)
{
	const struct node *n = find(t, st->st_ino);

	if (st->st_ctim.tv_sec >= since || (n && n->fresh))
		return false;
	return !n || n->f.mode != st->st_mode || n->f.uid != st->st_uid || n->f.gid != st->st_gid ||
	       (uint32_t)n->f.mtime.tv_sec != (uint32_t)st->st_mtim.tv_sec ||
	       (S_ISREG(st->st_mode) && n->f.size != (uint64_t)st->st_size);
}

/* ---- by path ---- */

struct walk {
	struct dump_tree *t;
	struct strbuf path;
	int (*each)(void *user, const struct listed *f, struct error *e);
	void *user;
	unsigned depth;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int walk_node(struct walk *w, uint32_t ino, struct error *e);

static int walk_names(struct walk *w, const struct node *n, struct error *e)
{
	const char *names = n->names, *end = names ? names + n->names_len : NULL;
	size_t count = 0, before = w->path.len, capacity = 0;
	_cleanup_(free) const char **sorted = NULL;
	int r = 0;

	for (const char *p = names; p < end; p += 4 + strlen(p + 4) + 1) {
		sorted = xgrow(sorted, count + 1, &capacity, sizeof(*sorted));
		sorted[count++] = p + 4;
	}
	if (count)
		qsort(sorted, count, sizeof(*sorted), by_name);
	for (size_t i = 0; r == 0 && i < count; i++) {
		uint32_t ino;

		memcpy(&ino, sorted[i] - 4, sizeof(ino));
		strbuf_printf(&w->path, "/%s", sorted[i]);
		r = walk_node(w, ino, e);
		w->path.len = before;
		w->path.data[before] = '\0';
	}
	return r;
}

static int walk_node(struct walk *w, uint32_t ino, struct error *e)
{
	struct node *n = find(w->t, ino);

	if (!n)
		return 0;
	if (S_ISDIR(n->f.mode) && (n->walked || w->depth >= depth_max))
		return error_text(e, EBADMSG, "inode %u: folders within each other without end", ino);
	if ((n->f.mode & S_IFMT) && !listing_has_type(n->f.mode))
		return error_text(e, EBADMSG, "inode %u: it is of no type that there is", ino);
	n->walked = S_ISDIR(n->f.mode);
	struct listed f = n->f;

	f.path = w->path.data;
	int r = w->each(w->user, &f, e);

	w->depth++;
	if (r == 0 && S_ISDIR(n->f.mode))
		r = walk_names(w, n, e);
	w->depth--;
	return r;
}

int dump_tree_walk(struct dump_tree *t, int (*each)(void *user, const struct listed *f, struct error *e),
		   void *user, struct error *e)
{
	struct walk w = { .t = t, .each = each, .user = user };

	if (!find(t, root_ino))
		return error_text(e, EBADMSG, "the dump has no root folder");
	strbuf_puts(&w.path, ".");
	int r = walk_node(&w, root_ino, e);

	strbuf_free(&w.path);
	for (size_t i = 0; i < t->count; i++)
		t->nodes[i].walked = false;
	return r;
}
