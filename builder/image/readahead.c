#include "image/readahead.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/uio.h>

enum {
	threads_max = 8, /* how many files a disk is asked for at once */
	window = 256, /* entries; so much is at most read for nothing when packing ends early */
	sample = 8, /* as long as all is in memory already, one in so many entries is looked at */
};

struct readahead {
	const struct tree *tree;
	pthread_t threads[threads_max];
	size_t thread_count;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t moved;
	size_t next, end; /* entries to fetch */
	bool cold; /* something had to be read from a disk */
	bool stop;
};

/* Opening it brings in the folders and the inode, which a disk has to be asked for as well. Returns whether it was not in
 * memory, by the byte in its middle: who looked for libraries has read its beginning. */
static bool fetch(const struct entry *entry)
{
	_cleanup_(fd) int fd = open(entry->source, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	char byte;
	const struct iovec to = { &byte, sizeof(byte) };

	if (fd < 0 || preadv2(fd, &to, 1, (off_t)(entry->size / 2), RWF_NOWAIT) >= 0)
		return false;
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED); /* without it packing is only slower */
	return true;
}

/* The next to fetch; NULL: packing has caught up with us. */
static const struct entry *take(struct readahead *r)
{
	while (r->next < r->end && r->next < r->tree->count) {
		const struct entry *entry = r->tree->entries[r->next++];

		if (entry->source && (r->cold || entry->index % sample == 0))
			return entry;
	}
	return NULL;
}

static void *fetch_ahead(void *user)
{
	struct readahead *r = user;
	const struct entry *entry;

	(void)pthread_mutex_lock(&r->lock); /* a plain mutex that we do not hold, here and below */
	for (;;) {
		while (!(entry = take(r)) && !r->stop && r->next < r->tree->count)
			(void)pthread_cond_wait(&r->moved, &r->lock);
		if (r->stop || !entry)
			break;
		(void)pthread_mutex_unlock(&r->lock);
		bool missed = fetch(entry);

		(void)pthread_mutex_lock(&r->lock);
		r->cold = r->cold || missed;
	}
	(void)pthread_mutex_unlock(&r->lock);
	return NULL;
}

struct readahead *readahead_start(const struct tree *tree)
{
	struct readahead *r = xcalloc(1, sizeof(*r));

	*r = (struct readahead) { .tree = tree,
				  .lock = PTHREAD_MUTEX_INITIALIZER,
				  .moved = PTHREAD_COND_INITIALIZER,
				  .end = window };
	while (r->thread_count < threads_max &&
	       pthread_create(&r->threads[r->thread_count], NULL, fetch_ahead, r) == 0)
		r->thread_count++;
	if (!r->thread_count)
		free(TAKE_PTR(r));
	return r;
}

void readahead_at(struct readahead *r, size_t index)
{
	/* Not for each entry: those who wait have enough to do when woken. */
	if (!r || index % (window / 4) != 0)
		return;
	(void)pthread_mutex_lock(&r->lock);
	r->end = index + window;
	(void)pthread_cond_broadcast(&r->moved);
	(void)pthread_mutex_unlock(&r->lock);
}

void readahead_stop(struct readahead **r)
{
	if (!*r)
		return;
	(void)pthread_mutex_lock(&(*r)->lock);
	(*r)->stop = true;
	(void)pthread_cond_broadcast(&(*r)->moved);
	(void)pthread_mutex_unlock(&(*r)->lock);
	for (size_t i = 0; i < (*r)->thread_count; i++)
		(void)pthread_join((*r)->threads[i], NULL); /* ours, joinable, once */
	free(TAKE_PTR(*r));
}
