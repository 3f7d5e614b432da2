#include "image/share.h"

#include "base/digest.h"
#include "image/content.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

/* A regular file with content. */
struct candidate {
	struct entry *entry;
	struct stat st; /* of the source; st_nlink 0: it has none */
	bool fixed; /* nobody edits it */
	char digest[DIGEST_HEX_SIZE]; /* "" until it is needed */
};

static bool is_fixed(const char *path)
{
	static const char *const folders[] = { "usr/", "lib", "bin/", "sbin/" };

	for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++)
		if (str_after(path, folders[i]))
			return true;
	return false;
}

/* What is of one size and mode comes together, in the tree's order. */
static int by_size(const void *a, const void *b)
{
	const struct entry *x = ((const struct candidate *)a)->entry,
			   *y = ((const struct candidate *)b)->entry;

	if (x->size != y->size)
		return x->size < y->size ? -1 : 1;
	if (x->mode != y->mode)
		return x->mode < y->mode ? -1 : 1;
	return x->index < y->index ? -1 : 1;
}

static bool one_group(const struct candidate *a, const struct candidate *b)
{
	return a->entry->size == b->entry->size && a->entry->mode == b->entry->mode;
}

static bool one_file(const struct candidate *a, const struct candidate *b)
{
	return a->st.st_nlink && b->st.st_nlink && a->st.st_dev == b->st.st_dev &&
	       a->st.st_ino == b->st.st_ino;
}

static int read_digest(struct candidate *c, struct error *e)
{
	const struct entry *entry = c->entry;

	if (c->digest[0])
		return 0;
	if (!entry->source) {
		_cleanup_(digest) struct digest *d = digest_new();

		digest_add(d, entry->data, entry->size);
		digest_hex(d, c->digest);
		return 0;
	}
	_cleanup_(fd) int fd = content_fd(entry, e);
	uint64_t len;

	return fd < 0 ? fd : digest_fd(fd, entry->source, c->digest, &len, e);
}

/* 1 when both may be one file in the image, 0 when not. */
static int may_share(struct candidate *a, struct candidate *b, struct error *e)
{
	if (one_file(a, b))
		return 1;
	if (!a->fixed || !b->fixed)
		return 0;
	int r = read_digest(a, e);

	if (r == 0)
		r = read_digest(b, e);
	return r < 0 ? r : streq(a->digest, b->digest);
}

/* Links `c` with the last one before it in its group that it can be shared with. The content moves on to
 * the new one: whoever unpacks a cpio archive expects it at the last name. */
static int share_in_group(struct candidate *group, struct candidate *c, struct error *e)
{
	for (struct candidate *other = c; other-- > group;) {
		if (other->entry->same_as)
			continue; /* the one that it is linked to comes as well */
		int r = may_share(other, c, e);

		if (r < 0)
			return r;
		if (r == 0)
			continue;
		c->entry->links = other->entry->links + 1;
		for (struct candidate *old = group; old < c; old++)
			if (old == other || old->entry->same_as == other->entry)
				old->entry->same_as = c->entry;
		return 0;
	}
	return 0;
}

int tree_share_duplicates(struct tree *t, struct error *e)
{
	_cleanup_(free) struct candidate *all = xcalloc(t->count + 1, sizeof(*all));
	size_t count = 0;
	int r = 0;

	for (size_t i = 0; i < t->count; i++) {
		struct entry *entry = t->entries[i];
		struct candidate *c = &all[count];

		entry->same_as = NULL;
		entry->links = 1;
		if (!S_ISREG(entry->mode) || entry->size == 0)
			continue;
		if (entry->source && stat(entry->source, &c->st) < 0)
			return error_errno(e, errno, "pack %s", entry->source);
		c->entry = entry;
		c->fixed = is_fixed(entry->path);
		count++;
	}
	qsort(all, count, sizeof(*all), by_size);
	for (size_t i = 1, first = 0; r == 0 && i < count; i++)
		if (one_group(&all[first], &all[i]))
			r = share_in_group(&all[first], &all[i], e);
		else
			first = i;
	return r;
}
