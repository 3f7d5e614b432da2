#include "image/pack.h"

#include "image/compress.h"
#include "image/content.h"
#include "image/readahead.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

enum {
	page = 4096,
	inode_cost = 1024, /* what a tmpfs keeps per file besides its pages, rounded up */
	block = 1 << 20,
};

void pack_totals_add(struct pack_totals *t, const struct entry *entry, uint64_t size)
{
	/* The init's copy into a tmpfs goes in parts, and links between two parts become files. */
	uint64_t held = !S_ISREG(entry->mode) ? 0 : entry->same_as ? entry->size : size;

	t->memory += inode_cost + (held + page - 1) / page * page;
	t->content += S_ISREG(entry->mode) ? size : 0;
}

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
	pack_totals_add(&p->totals, entry, size);
	return 0;
}

static int write_data(struct packer *p, const struct entry *entry, const void *data, size_t len)
{
	return archive_write_data(p->archive, data, len) == (la_ssize_t)len ? 0
									    : archive_failed(p, entry->path);
}

static int pack_content(struct packer *p, const struct entry *entry)
{
	_cleanup_(content) struct content c = CONTENT_NONE;
	int r = content_open(entry, &c, p->e);

	if (r == 0)
		r = write_header(p, entry, c.size);
	while (r == 0 && c.done < c.size) {
		size_t n = c.size - c.done < block ? (size_t)(c.size - c.done) : block;

		r = content_read(&c, p->buf, n, p->e);
		if (r == 0)
			r = write_data(p, entry, p->buf, n);
	}
	return r < 0 ? r : content_check(&c, p->e);
}

static int pack_entry(void *user, const struct entry *entry)
{
	struct packer *p = user;
	bool has_content = S_ISREG(entry->mode) && !entry->same_as;

	return has_content ? pack_content(p, entry) : write_header(p, entry, 0);
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
	/* What it makes comes to us as it is made, without a copy, and nothing is added at the end. */
	if (archive_write_set_format_cpio_newc(p->archive) != ARCHIVE_OK ||
	    archive_write_set_bytes_per_block(p->archive, 0) != ARCHIVE_OK ||
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
		content += tree->entries[i]->same_as ? 0 : tree->entries[i]->size;
	return content / best_ratio;
}

int pack_each(const struct tree *tree, int (*pack)(void *user, const struct entry *entry), void *user,
	      struct report *report)
{
	_cleanup_(readahead) struct readahead *ahead = readahead_start(tree);
	uint64_t total = 0, done = 0;
	int r = 0;

	for (size_t i = 0; i < tree->count; i++)
		total += tree->entries[i]->size;
	report_begin(report, "packing the image", total);
	for (size_t i = 0; r == 0 && i < tree->count; i++) {
		readahead_at(ahead, i);
		r = pack(user, tree->entries[i]);
		done += tree->entries[i]->size;
		report_progress(report, done);
	}
	report_end(report);
	return r;
}

int pack_tree(const struct tree *tree, const struct pack_options *options, int fd, const char *shown,
	      struct pack_totals *ret, struct report *report, struct error *e)
{
	struct error fallback = { 0 }; /* there is always a place to say why */
	_cleanup_(packer) struct packer p = { .mtime = options->mtime, .e = e ? e : &fallback };
	int r = packer_open(&p, options, fd, shown);

	if (r == 0)
		r = pack_each(tree, pack_entry, &p, report);
	if (r == 0 && archive_write_close(p.archive) != ARCHIVE_OK)
		r = archive_failed(&p, "");
	if (r == 0)
		r = compress_end(&p.out);
	if (r < 0)
		return r;
	*ret = p.totals;
	return 0;
}
