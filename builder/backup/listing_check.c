/* Do a stream and its listing agree. */
#include "backup/age.h"
#include "backup/archive.h"
#include "backup/dump_tree.h"
#include "backup/listing_stream.h"
#include "backup/set_private.h"
#include "backup/stream_thread.h"
#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

/* What an encrypted chunk has to be as a file, to hold that many bytes. */
static int sealed_size(struct set *s, const struct sum *chunk, uint64_t plain, uint64_t *ret,
		       struct report *report, struct error *e)
{
	enum { header_max = 64 << 10 };
	_cleanup_(free) char *begin = xmalloc(header_max);
	_cleanup_(set_file) struct set_file file = SET_FILE_NONE;
	int r = set_file_open(s, set_copy_of(s, chunk), chunk->name, 0, &file, report, e);
	ssize_t n = r < 0 ? r : set_file_read(&file, begin, header_max, report, e);
	size_t header = n < 0 ? 0 : age_header_len(begin, (size_t)n);

	if (n < 0)
		return (int)n;
	if (!header)
		return error_text(e, EBADMSG, "%s/%s: it is no file of age", s->shown, chunk->name);
	*ret = age_file_size(header, plain);
	return 0;
}

/* Frames fill their chunks from begin to end, one after the other. */
static int check_frames(struct set *s, const char *name, const char *method, const struct frames *frames,
			struct report *report, struct error *e)
{
	_cleanup_(free) const struct sum **chunks = NULL;
	size_t count, next = 0;
	int r = set_stream_chunks(s, name, method, &chunks, &count, e);

	for (size_t i = 0; r == 0 && i < count; i++) {
		uint64_t at = 0;
		uint64_t size = 0;

		for (; next < frames->count && frames->items[next].chunk == i; next++) {
			if (frames->items[next].offset != at)
				break;
			at += frames->items[next].len;
		}
		r = set_chunk_size(s, chunks[i], &size, report, e);
		if (r == 0 && chunk_is_sealed(chunks[i]->name))
			r = sealed_size(s, chunks[i], at, &at, report, e);
		if (r == 0 && size != at)
			r = error_text(e, EBADMSG, "%s/%s: the index of %s knows another file", s->shown,
				       chunks[i]->name, name);
	}
	if (r == 0 && next != frames->count)
		return error_text(e, EBADMSG, "%s: the index of %s has frames that are not there", s->shown,
				  name);
	return r;
}

struct comparing {
	const struct listing *listing;
	size_t at; /* the line that is next */
};

static int differs(const struct listed *f, const char *how, struct error *e)
{
	return error_text(e, EBADMSG, "%.200s: %s", f->path, how);
}

/* A line of the listing, and what the stream says of it. */
static int compare(const struct listed *listed, const struct listed *f, struct error *e)
{
	/* only the stream of this set was read */
	if ((listed->back == 0) != (f->back == 0))
		return differs(listed,
			       listed->back ? "in the stream, though unchanged by its listing"
					    : "listed, but not in the stream",
			       e);
	if (f->back)
		return 0;
	/* Where there is an ACL, an archive holds the group's own rights, and the disk shows the ACL's mask. */
	mode_t compared = listed->has_xattrs ? ~(mode_t)S_IRWXG : ~(mode_t)0;

	if ((f->mode & compared) != (listed->mode & compared) || f->uid != listed->uid ||
	    f->gid != listed->gid)
		return differs(listed, "type, mode or owner is not what was listed", e);
	if (S_ISREG(f->mode) &&
	    (f->size != listed->size || !listed->has_sha || memcmp(f->sha, listed->sha, sizeof(f->sha)) != 0))
		return differs(listed, "its content is not what was listed", e);
	if (f->target && (!listed->target || !streq(f->target, listed->target)))
		return differs(listed, "its link is not what was listed", e);
	return 0;
}

static int compare_next(void *user, const struct listed *f, struct error *e)
{
	struct comparing *c = user;

	if (c->at == c->listing->count || !streq(c->listing->items[c->at].path, f->path))
		return differs(f, "in the stream, but not listed", e);
	return compare(&c->listing->items[c->at++], f, e);
}

static int read_dump(void *user, int fd, struct error *e)
{
	struct comparing *c = user;
	_cleanup_(pull_fd) struct pull_fd in = { .fd = fd };
	_cleanup_(dump_tree) struct dump_tree *tree = dump_tree_new();
	const struct pull pull = { .next = pull_fd_next, .user = &in };

	for (size_t i = 0; i < c->listing->count; i++)
		if (c->listing->items[i]
			    .back) { /* a dump of a higher level: what it lacks is in the listing */
			dump_tree_base(tree, c->listing);
			break;
		}
	int r = dump_tree_read(tree, &pull, NULL, e);

	if (r == 0)
		r = dump_tree_walk(tree, compare_next, c, e);
	if (r == 0 && c->at < c->listing->count)
		r = differs(&c->listing->items[c->at], "listed, but not in the stream", e);
	return r;
}

static int compare_found(void *user, const struct listed *f, struct error *e)
{
	struct comparing *c = user;
	const struct listed *listed = listing_find(c->listing, f->path);

	if (!listed)
		return differs(f, "in the stream, but not listed", e);
	c->at++;
	return f->mode ? compare(listed, f, e) : 0; /* another name of a file */
}

static int read_archive(void *user, int fd, struct error *e)
{
	struct comparing *c = user;
	size_t here = 0;
	int r = archive_list(fd, compare_found, c, e);

	for (size_t i = 0; i < c->listing->count; i++)
		here += c->listing->items[i].back == 0;
	if (r == 0 && here != c->at)
		return error_text(e, EBADMSG, "%zu files are listed, %zu are in the stream", here, c->at);
	return r;
}

/* No format of ours: nothing but that it unpacks. */
static int read_foreign(void *user, int fd, struct error *e)
{
	enum { block = 1 << 20 };
	_cleanup_(fd) int in = fd;
	_cleanup_(free) char *buf = xmalloc(block);
	ssize_t n;

	(void)user;
	while ((n = read_full(in, buf, block)) > 0)
		;
	return n < 0 ? error_errno(e, (int)-n, "read a stream") : 0;
}

static const struct {
	const char *method;
	int (*read)(void *user, int fd, struct error *e);
} readers[] = { { "dump", read_dump },
		{ "archive", read_archive },
		{ "xfsdump", read_foreign },
		{ "send", read_foreign } };
enum { reader_count = sizeof(readers) / sizeof(*readers) };

static int check_one(struct set *s, const char *name, size_t reader, bool deep, struct report *report,
		     struct error *e)
{
	const char *method = readers[reader].method;
	_cleanup_(listing) struct listing listing = { 0 };
	_cleanup_(frames) struct frames frames = { 0 };
	struct comparing c = { .listing = &listing };
	int r = listing_load(s, name, &listing, &frames, e);

	if (r == 0)
		r = check_frames(s, name, method, &frames, report, e);
	if (r < 0 || !deep)
		return r;
	r = stream_consume(s, name, method, report, readers[reader].read, &c, e);
	if (r < 0)
		error_prefix(e, "%s: listing and stream %s", s->shown, name);
	return r;
}

int set_check_listings(struct set *s, bool deep, struct report *report, struct error *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->sums.count; i++)
		for (size_t m = 0; r == 0 && m < reader_count; m++) {
			_cleanup_(free) char *name = xstrdup(s->sums.items[i].name);
			_cleanup_(free) char *end = xasprintf(".%s.zst.000", readers[m].method);

			if (chunk_is_sealed(name))
				name[strlen(name) - strlen(AGE_SUFFIX)] = '\0';
			if (!str_ends(name, end))
				continue;
			name[strlen(name) - strlen(end)] = '\0';
			if (listing_there(s, name)) /* older sets have none */
				r = check_one(s, name, m, deep, report, e);
		}
	return r;
}
