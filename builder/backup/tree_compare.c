#include "backup/tree_compare.h"

#include "backup/listing_stream.h"
#include "backup/walk.h"
#include "backup/xattrs.h"
#include "base/parallel.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

/* What is to be looked at again for its content. */
struct to_hash {
	size_t index; /* in the listing */
	int error;
	unsigned char sha[LISTING_SHA];
};

enum state { STATE_MISSING, STATE_EQUAL, STATE_EXPLAINED, STATE_DIFFERENT };

struct comparing {
	const struct tree_compare_options *options;
	const char *folder;
	struct listing listing;
	unsigned char *states; /* of each line: enum state */
	uint64_t *inodes; /* of each line: the inode that was found; 0: none */
	struct to_hash *hashes;
	size_t hash_count, hash_capacity;
	struct tree_counts *counts;
	struct report *report;
	uint64_t bytes;
};

static void comparing_end(struct comparing *c)
{
	listing_free(&c->listing);
	free(c->states);
	free(c->inodes);
	free(c->hashes);
}
DEFINE_CLEANUP(comparing, struct comparing, comparing_end)

/* ---- telling ---- */

/* `index`: of the line; SIZE_MAX: it has none. */
static void differs(struct comparing *c, size_t index, const char *path, const char *attribute,
		    const char *expected, const char *found)
{
	const struct tree_difference d = {
		.path = path, .attribute = attribute, .expected = expected, .found = found
	};
	const struct tree_compare_options *o = c->options;
	const char *reason = o->excuse ? o->excuse(o->user, &d) : NULL;
	enum state state = reason ? STATE_EXPLAINED : STATE_DIFFERENT;

	o->differs(o->user, &d, reason);
	if (index == SIZE_MAX)
		*(reason ? &c->counts->explained : &c->counts->different) += 1;
	else if (c->states[index] < state)
		c->states[index] = (unsigned char)state;
}

static void differs_number(struct comparing *c, size_t index, const char *attribute, uint64_t expected,
			   uint64_t found)
{
	const bool octal = streq(attribute, "mode");
	char a[32], b[32];

	if (expected == found)
		return;
	(void)snprintf(a, sizeof(a), octal ? "%04" PRIo64 : "%" PRIu64, expected);
	(void)snprintf(b, sizeof(b), octal ? "%04" PRIo64 : "%" PRIu64, found);
	differs(c, index, c->listing.items[index].path, attribute, a, b);
}

/* ---- metadata ---- */

static const char *type_name(mode_t mode)
{
	return S_ISREG(mode)    ? "file"
	       : S_ISDIR(mode)  ? "dir"
	       : S_ISLNK(mode)  ? "link"
	       : S_ISBLK(mode)  ? "block"
	       : S_ISCHR(mode)  ? "char"
	       : S_ISFIFO(mode) ? "fifo"
				: "socket";
}

static void compare_time(struct comparing *c, size_t index, const struct stat *st)
{
	const struct listed *f = &c->listing.items[index];
	_cleanup_(free) char *expected = NULL, *found = NULL;

	if (f->mtime.tv_sec == st->st_mtim.tv_sec && f->mtime.tv_nsec == st->st_mtim.tv_nsec)
		return;
	expected = xasprintf("%lld.%09ld", (long long)f->mtime.tv_sec, f->mtime.tv_nsec);
	found = xasprintf("%lld.%09ld", (long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
	differs(c, index, f->path, "time", expected, found);
}

static int compare_target(struct comparing *c, size_t index, const struct walked *w, struct error *e)
{
	const struct listed *f = &c->listing.items[index];
	char target[4097];
	ssize_t n = readlinkat(w->dirfd, w->name, target, sizeof(target) - 1);

	if (n < 0)
		return error_errno(e, errno, "read the link %s/%s", c->folder, w->path);
	target[n] = '\0';
	if (!streq(target, f->target))
		differs(c, index, f->path, "link", f->target, target);
	return 0;
}

/* "security.capability, system.posix_acl_access". The caller frees. */
static char *attribute_names(const struct walked *w)
{
	_cleanup_(free) char *at = xasprintf("/proc/self/fd/%d/%s", w->dirfd, w->name);
	_cleanup_(strlist) struct strlist names = { 0 };
	char all[4096];
	ssize_t n = llistxattr(at, all, sizeof(all));

	for (const char *p = all; n > 0 && p < all + n; p += strlen(p) + 1)
		strlist_add(&names, p);
	strlist_sort(&names);
	return names.count ? strlist_join(&names, ", ") : NULL;
}

static int compare_attributes(struct comparing *c, size_t index, const struct walked *w, struct error *e)
{
	const struct listed *f = &c->listing.items[index];
	unsigned char digest[LISTING_XATTRS] = { 0 };
	bool any = false;
	int r = xattrs_digest(w->dirfd, w->name, w->path, &any, digest, e);

	if (r < 0 || (any == f->has_xattrs && (!any || memcmp(digest, f->xattrs, sizeof(digest)) == 0)))
		return r;
	_cleanup_(free) char *names = attribute_names(w);
	_cleanup_(free) char *found = !any            ? NULL
				      : f->has_xattrs ? xasprintf("others: %s", names ? names : "?")
						      : xstrdup(names ? names : "?");

	differs(c, index, f->path, "attributes", f->has_xattrs ? "ACLs, capabilities or others" : NULL,
		found);
	return 0;
}

static void compare_status(struct comparing *c, size_t index, const struct stat *st)
{
	const struct listed *f = &c->listing.items[index];

	if (!c->options->no_owners) {
		differs_number(c, index, "mode", f->mode & 07777, st->st_mode & 07777);
		differs_number(c, index, "uid", f->uid, st->st_uid);
		differs_number(c, index, "gid", f->gid, st->st_gid);
		compare_time(c, index, st);
	}
	if (!S_ISDIR(f->mode) && !c->options->no_owners)
		differs_number(c, index, "nlink", f->nlink, st->st_nlink);
	if (S_ISREG(f->mode))
		differs_number(c, index, "size", f->size, (uint64_t)st->st_size);
	if (S_ISBLK(f->mode) || S_ISCHR(f->mode))
		differs_number(c, index, "device", f->device, st->st_rdev);
}

/* The same paths for the same seed on every machine: FNV-1a (Fowler, Noll, Vo), its upper bits. */
static bool is_sampled(const struct comparing *c, const char *path)
{
	uint64_t hash = 0xcbf29ce484222325U ^ c->options->seed * 0x9e3779b97f4a7c15U;

	for (; *path; path++)
		hash = (hash ^ (unsigned char)*path) * 0x100000001b3U;
	hash ^= hash >> 29;
	hash *= 0xbf58476d1ce4e5b9U;
	return (double)(hash >> 11) / 9007199254740992.0 < c->options->share; /* 2^53 */
}

static void want_hash(struct comparing *c, size_t index)
{
	const struct listed *f = &c->listing.items[index];

	if (!f->has_sha)
		return;
	if (c->options->share < 1 && !is_sampled(c, f->path)) {
		c->counts->sampled_out++;
		return;
	}
	c->hashes = xgrow(c->hashes, c->hash_count + 1, &c->hash_capacity, sizeof(*c->hashes));
	c->hashes[c->hash_count++] = (struct to_hash) { .index = index };
	c->bytes += f->size;
}

static int compare_listed(struct comparing *c, size_t index, const struct walked *w, struct error *e)
{
	const struct listed *f = &c->listing.items[index];
	int r = 0;

	c->states[index] = STATE_EQUAL;
	c->inodes[index] = w->st.st_ino;
	if ((f->mode & S_IFMT) != (w->st.st_mode & S_IFMT)) {
		differs(c, index, f->path, "type", type_name(f->mode), type_name(w->st.st_mode));
		return 0;
	}
	compare_status(c, index, &w->st);
	if (f->target)
		r = compare_target(c, index, w, e);
	if (r == 0 && !c->options->no_owners)
		r = compare_attributes(c, index, w, e);
	if (r == 0 && S_ISREG(f->mode) && f->size == (uint64_t)w->st.st_size)
		want_hash(c, index);
	return r;
}

static int compare_one(void *user, const struct walked *w, struct error *e)
{
	struct comparing *c = user;
	_cleanup_(free) char *path = streq(w->path, ".") ? xstrdup(".") : xasprintf("./%s", w->path);
	const struct listed *f = listing_find(&c->listing, path);

	if (f)
		return compare_listed(c, (size_t)(f - c->listing.items), w, e);
	if (!streq(path, "./lost+found"))
		differs(c, SIZE_MAX, path, "presence", NULL, type_name(w->st.st_mode));
	return 0;
}

/* ---- content ---- */

static void hash_one(void *user, size_t index, unsigned thread)
{
	struct comparing *c = user;
	struct to_hash *h = &c->hashes[index];
	const char *path = c->listing.items[h->index].path;
	_cleanup_(free) char *full = xasprintf("%s/%s", c->folder, path);
	_cleanup_(fd) int fd = open(full, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOATIME);
	struct error why;

	(void)thread;
	h->error = fd < 0 ? -errno : digest_fd_bytes(fd, full, h->sha, &why);
}

static int compare_contents(struct comparing *c, struct error *e)
{
	enum { portion = 256 }; /* between two looks at how far it is */
	uint64_t done = 0;

	report_begin(c->report, "comparing", c->bytes);
	for (size_t first = 0; first < c->hash_count; first += portion) {
		struct comparing part = *c;

		part.hashes += first;
		part.hash_count = c->hash_count - first < portion ? c->hash_count - first : portion;
		parallel_run(part.hash_count, hash_one, &part);
		for (size_t i = 0; i < part.hash_count; i++)
			done += c->listing.items[part.hashes[i].index].size;
		report_progress(c->report, done);
	}
	report_end(c->report);
	for (size_t i = 0; i < c->hash_count; i++) {
		const struct to_hash *h = &c->hashes[i];
		const struct listed *f = &c->listing.items[h->index];
		_cleanup_(strbuf) struct strbuf expected = { 0 }, found = { 0 };

		if (h->error)
			return error_errno(e, -h->error, "read %s/%s", c->folder, f->path);
		if (memcmp(h->sha, f->sha, sizeof(f->sha)) == 0)
			continue;
		strbuf_hex(&expected, f->sha, sizeof(f->sha));
		strbuf_hex(&found, h->sha, sizeof(h->sha));
		differs(c, h->index, f->path, "sha256", expected.data, found.data);
	}
	return 0;
}

/* ---- links ---- */

struct link {
	uint64_t listed, found;
	size_t index;
};

static int by_inode(const void *a, const void *b)
{
	const struct link *x = a, *y = b;

	return x->listed != y->listed ? (x->listed < y->listed ? -1 : 1)
				      : (x->index > y->index) - (x->index < y->index);
}

/* Names of one file are names of one file. Names of two files that have become one differ in their number of links. */
static void compare_links(struct comparing *c)
{
	struct link *links = NULL;
	size_t count = 0, capacity = 0;

	for (size_t i = 0; i < c->listing.count; i++) {
		const struct listed *f = &c->listing.items[i];

		if (S_ISDIR(f->mode) || f->nlink < 2 || !c->inodes[i])
			continue;
		links = xgrow(links, count + 1, &capacity, sizeof(*links));
		links[count++] = (struct link) { .listed = f->ino, .found = c->inodes[i], .index = i };
	}
	if (count)
		qsort(links, count, sizeof(*links), by_inode);
	for (size_t i = 1, first = 0; i < count; i++) {
		if (links[i].listed != links[first].listed)
			first = i;
		else if (links[i].found != links[first].found)
			differs(c, links[i].index, c->listing.items[links[i].index].path, "hard link",
				c->listing.items[links[first].index].path, "a file of its own");
	}
	free(links);
}

static void count_all(struct comparing *c)
{
	struct tree_counts *n = c->counts;

	n->listed += c->listing.count;
	for (size_t i = 0; i < c->listing.count; i++) {
		const struct listed *f = &c->listing.items[i];

		if (c->states[i] == STATE_MISSING)
			differs(c, i, f->path, "presence", type_name(f->mode), NULL);
		n->equal += c->states[i] == STATE_EQUAL;
		n->explained += c->states[i] == STATE_EXPLAINED;
		n->different += c->states[i] == STATE_DIFFERENT;
	}
}

int set_compare_tree(struct set *s, const char *name, const char *folder,
		     const struct tree_compare_options *options, struct tree_counts *counts,
		     struct report *report, struct error *e)
{
	_cleanup_(comparing) struct comparing c = {
		.options = options, .folder = folder, .counts = counts, .report = report
	};
	struct stat st;

	if (!listing_there(s, name))
		return error_text(e, ENOENT, "%s has no listing of %s: it was made by an older version",
				  set_shown(s), name);
	int r = listing_load(s, name, &c.listing, NULL, e);

	if (r == 0 && stat(folder, &st) < 0)
		r = error_errno(e, errno, "open %s", folder);
	if (r < 0)
		return r;
	c.states = xcalloc(c.listing.count + 1, 1);
	c.inodes = xcalloc(c.listing.count + 1, sizeof(*c.inodes));
	const struct set_source source = { .folder = folder, .shown = folder, .device = st.st_dev };

	r = walk_filesystem(&source, compare_one, &c, e);
	if (r == 0)
		r = compare_contents(&c, e);
	if (r < 0)
		return r;
	compare_links(&c);
	count_all(&c);
	return 0;
}
