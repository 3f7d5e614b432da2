#include "image/pack.h"

#include "base/fs.h"
#include "image/compress.h"
#include "image/content.h"
#include "image/readahead.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

enum {
	page = 4096,
	inode_cost = 1024, /* what a tmpfs keeps per file besides its pages, rounded up */
	block = 1 << 20,
};

/* Called by libarchive with what it made. */
static la_ssize_t on_bytes(struct archive *a, void *user, const void *data, size_t len)
{
	struct compress *c = user;

	if (compress_write(c, data, len) == 0)
		return (la_ssize_t)len;
	archive_set_error(a, -c->failed, "%s", c->e->text);
	return -1;
}

/* --- the archive --- */

struct packer {
	struct archive *archive;
	struct archive_entry *header;
	struct compress out;
	struct pack_totals totals;
	time_t mtime;
	char *buf;
	struct report *report;
	struct error *e;
};

static void packer_free(struct packer *p)
{
	if (p->archive)
		(void)archive_write_free(p->archive); /* closed by hand where it matters */
	archive_entry_free(p->header);
	compress_close(&p->out);
	free(p->buf);
}
DEFINE_CLEANUP(packer, struct packer, packer_free)

/* libarchive failed: our own side may know better why. */
static int archive_failed(struct packer *p, const char *path)
{
	if (p->out.failed)
		return p->out.failed;
	return error_text(p->e, EIO, "pack /%s: %s", path, archive_error_string(p->archive));
}

static int write_header(struct packer *p, const struct entry *entry, uint64_t size)
{
	struct archive_entry *h = archive_entry_clear(p->header);
	const struct entry *content = entry->same_as ? entry->same_as : entry;
	unsigned links = S_ISDIR(entry->mode) ? 2 : content->links > 1 ? content->links : 1;

	archive_entry_set_pathname(h, entry->path);
	archive_entry_set_mode(h, entry->mode);
	archive_entry_set_mtime(h, p->mtime, 0);
	archive_entry_set_uid(h, 0);
	archive_entry_set_gid(h, 0);
	archive_entry_set_ino64(h, (int64_t)content->index + 1);
	archive_entry_set_nlink(h, links);
	archive_entry_set_dev(h, 0);
	archive_entry_set_rdevmajor(h, major(entry->rdev));
	archive_entry_set_rdevminor(h, minor(entry->rdev));
	archive_entry_set_size(h, S_ISREG(entry->mode) ? (int64_t)size : 0);
	if (S_ISLNK(entry->mode))
		archive_entry_set_symlink(h, entry->data);
	if (archive_write_header(p->archive, h) != ARCHIVE_OK)
		return archive_failed(p, entry->path);
	/* The init's copy into a tmpfs goes in parts, and links between two parts become files. */
	uint64_t held = entry->same_as ? entry->size : size;

	p->totals.memory += inode_cost + (held + page - 1) / page * page;
	p->totals.content += S_ISREG(entry->mode) ? size : 0;
	return 0;
}

static int write_data(struct packer *p, const struct entry *entry, const void *data, size_t len)
{
	return archive_write_data(p->archive, data, len) == (la_ssize_t)len ? 0
									    : archive_failed(p, entry->path);
}

static int pack_content(struct packer *p, const struct entry *entry, int fd, uint64_t left)
{
	while (left > 0) {
		ssize_t n = read_full(fd, p->buf, left < block ? left : block);

		if (n < 0)
			return error_errno(p->e, (int)-n, "read %s", entry->source);
		if (n == 0)
			return error_text(p->e, EIO, "read %s: it became shorter while it was packed",
					  entry->source);
		int r = write_data(p, entry, p->buf, (size_t)n);

		if (r < 0)
			return r;
		left -= (uint64_t)n;
	}
	return 0;
}

static bool same_state(const struct stat *a, const struct stat *b)
{
	return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static int pack_source(struct packer *p, const struct entry *entry)
{
	_cleanup_(fd) int fd = content_open(entry, p->e);
	struct stat before, after;

	if (fd < 0)
		return fd;
	if (fstat(fd, &before) < 0)
		return error_errno(p->e, errno, "pack %s", entry->source);
	int r = write_header(p, entry, (uint64_t)before.st_size);

	if (r == 0)
		r = pack_content(p, entry, fd, (uint64_t)before.st_size);
	if (r < 0)
		return r;
	if (fstat(fd, &after) < 0)
		return error_errno(p->e, errno, "pack %s", entry->source);
	/* It would be neither what it was nor what it is. */
	return same_state(&before, &after)
		       ? 0
		       : error_text(p->e, EAGAIN, "pack %s: it changed while it was packed", entry->source);
}

static int pack_entry(struct packer *p, const struct entry *entry)
{
	if (entry->same_as)
		return write_header(p, entry, 0);
	if (entry->source)
		return pack_source(p, entry);
	int r = write_header(p, entry, entry->size);

	if (r == 0 && S_ISREG(entry->mode) && entry->size)
		r = write_data(p, entry, entry->data, entry->size);
	return r;
}

static int packer_open(struct packer *p, const struct pack_options *o, int fd, const char *shown)
{
	const char *known;
	const struct compressor *compressor = compressor_find(o->compress, &known);

	if (!compressor)
		return error_text(p->e, EINVAL, "write %s: compress = %s: expected %s", shown, o->compress,
				  known);
	int r = compress_open(compressor, o->level, fd, shown, &p->out, p->e);

	if (r < 0)
		return r;
	p->archive = archive_write_new();
	p->header = archive_entry_new();
	p->buf = xmalloc(block);
	if (!p->archive || !p->header)
		return error_errno(p->e, ENOMEM, "write %s", shown);
	/* Nothing is added at the end. */
	if (archive_write_set_format_cpio_newc(p->archive) != ARCHIVE_OK ||
	    archive_write_set_bytes_per_block(p->archive, block) != ARCHIVE_OK ||
	    archive_write_set_bytes_in_last_block(p->archive, 1) != ARCHIVE_OK ||
	    archive_write_open(p->archive, &p->out, NULL, on_bytes, NULL) != ARCHIVE_OK)
		return error_text(p->e, EIO, "write %s: %s", shown, archive_error_string(p->archive));
	return 0;
}

uint64_t pack_least_size(const struct tree *tree, const struct pack_options *options)
{
	/* Programs and modules shrink to a fourth at best; scripts, which can do better, weigh little. */
	const unsigned best_ratio = streq(options->compress, "none") ? 1 : 5;
	uint64_t content = 0;

	for (size_t i = 0; i < tree->count; i++)
		content += tree->entries[i]->size;
	return content / best_ratio;
}

int pack_tree(const struct tree *tree, const struct pack_options *options, int fd, const char *shown,
	      struct pack_totals *ret, struct report *report, struct error *e)
{
	struct error fallback = { 0 }; /* there is always a place to say why */
	_cleanup_(packer) struct packer p = { .mtime = options->mtime,
					      .report = report,
					      .e = e ? e : &fallback };
	uint64_t total = 0, done = 0;

	int r = packer_open(&p, options, fd, shown);

	if (r < 0)
		return r;
	for (size_t i = 0; i < tree->count; i++)
		total += tree->entries[i]->size;
	_cleanup_(readahead) struct readahead *ahead = readahead_start(tree);

	report_begin(report, "packing the image", total);
	for (size_t i = 0; r == 0 && i < tree->count; i++) {
		readahead_at(ahead, i);
		r = pack_entry(&p, tree->entries[i]);
		done += tree->entries[i]->size;
		report_progress(report, done);
	}
	if (r == 0 && archive_write_close(p.archive) != ARCHIVE_OK)
		r = archive_failed(&p, "");
	if (r == 0)
		r = compress_end(&p.out);
	report_end(report);
	if (r < 0)
		return r;
	*ret = p.totals;
	return 0;
}
