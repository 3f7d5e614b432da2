#include "backup/listing_walk.h"

#include "backup/inside.h"
#include "backup/xattrs.h"
#include "base/parallel.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

struct to_hash {
	size_t line; /* of the listing */
	int error;
};

struct walking {
	const struct listing_walk *w;
	pthread_mutex_t lock; /* of the listing, and for whoever is called */
	struct listing listing;
	struct to_hash *hashes;
	size_t hash_count;
	struct spill all_hashes; /* where they lie */
	int root;
	struct report *report;
	uint64_t looked, bytes; /* of what was looked at, of what is to be hashed */
};

static void walking_end(struct walking *w)
{
	listing_free(&w->listing);
	spill_free(&w->all_hashes);
	if (w->root >= 0)
		(void)close(w->root); /* read side */
}
DEFINE_CLEANUP(walking, struct walking, walking_end)

/* As an archive of a level has it; see unchanged() there. */
static const struct listed *unchanged(const struct listing_walk *w, const struct listed *f, int64_t ctime)
{
	enum { clock_grain = 1 }; /* seconds: the kernel's stamps of files lag by a tick */
	const struct listed *was = w->base ? listing_find(w->base, f->path) : NULL;

	return was && was->has_sha && was->mode == f->mode && was->ino == f->ino && was->size == f->size &&
			       was->mtime.tv_sec == f->mtime.tv_sec &&
			       was->mtime.tv_nsec == f->mtime.tv_nsec && ctime < w->since - clock_grain
		       ? was
		       : NULL;
}

static int read_target(const struct walked *file, struct listed *f, struct error *e)
{
	char target[4097];
	ssize_t n = readlinkat(file->dirfd, file->name, target, sizeof(target) - 1);

	if (n < 0)
		return error_errno(e, errno, "read the link %s", file->path);
	target[n] = '\0';
	f->target = xstrdup(target);
	return 0;
}

/* -ENOENT: it went away. */
static int look(struct walking *w, const struct walked *file, struct error *e)
{
	_cleanup_(fd) int fd = -1;

	if (!w->w->each)
		return 0;
	if (S_ISREG(file->st.st_mode) || S_ISDIR(file->st.st_mode)) {
		fd = openat(file->dirfd, file->name,
			    O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOATIME | O_NONBLOCK | O_NOCTTY);
		if (fd < 0)
			return error_errno(e, errno, "open %s/%s", w->w->source->shown, file->path);
	}
	(void)pthread_mutex_lock(&w->lock); /* a plain mutex that we do not hold */
	int r = w->w->each(w->w->user, file, fd, e);

	(void)pthread_mutex_unlock(&w->lock);
	return r;
}

struct listed listed_of(const struct walked *file)
{
	const struct stat *st = &file->st;

	return (struct listed) {
		.path = streq(file->path, ".") ? xstrdup(".") : xasprintf("./%s", file->path),
		.size = (uint64_t)st->st_size,
		.ino = st->st_ino,
		.mtime = st->st_mtim,
		.device = st->st_rdev,
		.mode = st->st_mode,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.nlink = (uint32_t)st->st_nlink,
	};
}

static int list_file(void *user, const struct walked *file, struct error *e)
{
	struct walking *w = user;
	_cleanup_(listed) struct listed f = listed_of(file);
	int r = look(w, file, e);

	if (r == 0)
		r = xattrs_digest(file->dirfd, file->name, file->path, &f.has_xattrs, f.xattrs, e);
	if (r == 0 && S_ISLNK(f.mode))
		r = read_target(file, &f, e);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	const struct listed *was = S_ISREG(f.mode) ? unchanged(w->w, &f, file->st.st_ctim.tv_sec) : NULL;

	if (was) {
		memcpy(f.sha, was->sha, sizeof(f.sha));
		f.has_sha = true;
	}
	(void)pthread_mutex_lock(&w->lock);
	w->looked += (uint64_t)file->st.st_blocks * 512;
	report_progress(w->report, w->looked);
	listing_take(&w->listing, &f);
	(void)pthread_mutex_unlock(&w->lock);
	return 0;
}

/* ---- content ---- */

static int by_inode(const void *a, const void *b, void *user)
{
	const struct listed *items = user;
	const struct listed *x = &items[((const struct to_hash *)a)->line],
			    *y = &items[((const struct to_hash *)b)->line];

	if (x->ino != y->ino)
		return x->ino < y->ino ? -1 : 1;
	return listing_compare_paths(x->path, y->path);
}

/* One name of each file, in the order of the disk more or less. */
static void choose(struct walking *w)
{
	size_t kept = 0;

	for (size_t i = 0; i < w->listing.count; i++) {
		if (!S_ISREG(w->listing.items[i].mode) || w->listing.items[i].has_sha)
			continue;
		struct to_hash *h = spill_more(&w->all_hashes, sizeof(*h));

		h->line = i;
		w->hashes = w->all_hashes.data;
		w->hash_count++;
	}
	if (!w->hash_count)
		return;
	qsort_r(w->hashes, w->hash_count, sizeof(*w->hashes), by_inode, w->listing.items);
	for (size_t i = 0; i < w->hash_count; i++) {
		const struct listed *f = &w->listing.items[w->hashes[i].line];

		if (kept && w->listing.items[w->hashes[kept - 1].line].ino == f->ino)
			continue;
		w->hashes[kept++] = w->hashes[i];
		w->bytes += f->size;
	}
	w->hash_count = kept;
}

static void hash_one(void *user, size_t index, unsigned thread)
{
	struct walking *w = user;
	struct to_hash *h = &w->hashes[index];
	struct listed *f = &w->listing.items[h->line];
	_cleanup_(fd) int fd = open_inside(w->root, f->path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOATIME);
	struct error why;

	(void)thread;
	h->error = fd < 0 ? -errno : digest_fd_bytes(fd, f->path, f->sha, &why);
	f->has_sha = h->error == 0;
}

static int hash_all(struct walking *w, struct report *report, struct error *e)
{
	enum { portion = 256 }; /* between two looks at how far it is */
	_cleanup_(free) char *what = xasprintf("list %s", w->w->source->shown);
	uint64_t done = 0;
	int r = 0;

	report_begin(report, what, w->bytes);
	for (size_t first = 0; first < w->hash_count && r == 0; first += portion) {
		struct walking part = *w;

		part.hashes += first;
		part.hash_count = w->hash_count - first < portion ? w->hash_count - first : portion;
		parallel_run(part.hash_count, hash_one, &part);
		for (size_t i = 0; i < part.hash_count && r == 0; i++) {
			const struct listed *f = &w->listing.items[part.hashes[i].line];

			done += f->size;
			if (part.hashes[i].error < 0 && part.hashes[i].error != -ENOENT)
				r = error_errno(e, -part.hashes[i].error, "read %s/%s",
						streq(w->w->source->shown, "/") ? "" : w->w->source->shown,
						f->path + 2);
		}
		report_progress(report, done);
	}
	report_end(report);
	return r;
}

/* The other names of a file have its hash; what went away is left out. */
static void give_to_links(struct walking *w)
{
	size_t kept = 0;

	for (size_t i = 0; i < w->listing.count; i++) {
		struct listed *f = &w->listing.items[i];

		if (S_ISREG(f->mode) && !f->has_sha && f->nlink > 1) {
			size_t low = 0, high = w->hash_count;

			while (low < high) {
				size_t middle = low + (high - low) / 2;

				if (w->listing.items[w->hashes[middle].line].ino < f->ino)
					low = middle + 1;
				else
					high = middle;
			}
			const struct listed *first =
				low < w->hash_count ? &w->listing.items[w->hashes[low].line] : NULL;

			if (first && first->ino == f->ino && first->has_sha) {
				memcpy(f->sha, first->sha, sizeof(f->sha));
				f->has_sha = true;
			}
		}
	}
	for (size_t i = 0; i < w->listing.count; i++) {
		if (!S_ISREG(w->listing.items[i].mode) || w->listing.items[i].has_sha)
			w->listing.items[kept++] = w->listing.items[i];
	}
	w->listing.count = kept;
}

int listing_walk(const struct listing_walk *walk, struct listing *ret, struct report *report, struct error *e)
{
	_cleanup_(walking) struct walking w = { .w = walk, .lock = PTHREAD_MUTEX_INITIALIZER, .root = -1 };
	_cleanup_(free) char *what = xasprintf("look through %s", walk->source->shown);
	int r = walk_open(walk->source, &w.root, e);

	w.report = report;
	report_begin(report, what, walk->source->total);
	if (r == 0)
		r = walk_filesystem_together(walk->source, list_file, &w, e);
	report_end(report);
	if (r < 0)
		return r;
	listing_sort(&w.listing);
	choose(&w);
	r = hash_all(&w, report, e);
	if (r < 0)
		return r;
	give_to_links(&w);
	/* what was not hashed is taken for gone */
	r = spill_check(&w.all_hashes, e);
	if (r < 0)
		return r;
	*ret = w.listing;
	w.listing = (struct listing) { 0 };
	return 0;
}
