#include "image/pack.h"

#include "base/fs.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <zstd.h>

enum {
	page = 4096,
	inode_cost = 1024, /* what a tmpfs keeps per file besides its pages, rounded up */
	block = 1 << 20,
};

/* --- compressors --- */

/* Where the archive's bytes go. */
struct sink {
	int fd;
	const char *shown;
	ZSTD_CCtx *zstd; /* NULL: written as they come */
	char *buf; /* for zstd's output */
	size_t size;
	struct error *e; /* filled when a write fails */
	int failed; /* 0 or a negative errno */
};

static void sink_free(struct sink *s)
{
	(void)ZSTD_freeCCtx(s->zstd); /* NULL is fine; it returns 0 */
	free(s->buf);
}

static int zstd_open(struct sink *s, unsigned level, struct error *e)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	s->zstd = ZSTD_createCCtx();
	s->size = ZSTD_CStreamOutSize();
	s->buf = xmalloc(s->size);
	if (!s->zstd)
		return error_errno(e, ENOMEM, "start zstd");
	/* At least one worker: with none, another code path gives other bytes. */
	const struct {
		ZSTD_cParameter parameter;
		int value;
	} settings[] = {
		{ ZSTD_c_compressionLevel, level ? (int)level : 9 },
		{ ZSTD_c_nbWorkers, cores > 1 ? (int)cores : 1 },
		{ ZSTD_c_checksumFlag, 1 },
	};

	for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++) {
		size_t r = ZSTD_CCtx_setParameter(s->zstd, settings[i].parameter, settings[i].value);

		if (ZSTD_isError(r))
			return error_text(e, EINVAL, "start zstd: %s", ZSTD_getErrorName(r));
	}
	return 0;
}

static int sink_write_zstd(struct sink *s, const void *data, size_t len, ZSTD_EndDirective end)
{
	ZSTD_inBuffer in = { data, len, 0 };
	size_t left;

	do {
		ZSTD_outBuffer out = { s->buf, s->size, 0 };

		left = ZSTD_compressStream2(s->zstd, &out, &in, end);
		if (ZSTD_isError(left))
			return error_text(s->e, EIO, "compress %s: %s", s->shown, ZSTD_getErrorName(left));
		int r = write_all(s->fd, s->buf, out.pos);

		if (r < 0)
			return error_errno(s->e, -r, "write %s", s->shown);
	} while (end == ZSTD_e_end ? left > 0 : in.pos < in.size);
	return 0;
}

/* Called by libarchive with what it made. */
static la_ssize_t on_bytes(struct archive *a, void *user, const void *data, size_t len)
{
	struct sink *s = user;

	if (s->failed)
		return -1;
	if (s->zstd) {
		s->failed = sink_write_zstd(s, data, len, ZSTD_e_continue);
	} else {
		s->failed = write_all(s->fd, data, len);
		if (s->failed)
			(void)error_errno(s->e, -s->failed, "write %s", s->shown); /* kept in `failed` */
	}
	if (!s->failed)
		return (la_ssize_t)len;
	archive_set_error(a, -s->failed, "%s", s->e->text);
	return -1;
}

static int filter_none(struct archive *a, unsigned level)
{
	(void)level; /* nothing to set */
	return archive_write_add_filter_none(a);
}

static int filter_gzip(struct archive *a, unsigned level)
{
	_cleanup_(free) char *text = xasprintf("%u", level ? level : 6);
	int r = archive_write_add_filter_gzip(a);

	if (r == ARCHIVE_OK)
		r = archive_write_set_filter_option(a, "gzip", "compression-level", text);
	/* else the time of the build would be in the header */
	return r == ARCHIVE_OK ? archive_write_set_filter_option(a, "gzip", "timestamp", NULL) : r;
}

/* The kernel wants xz with a CRC32 and LZ4 in its legacy frame; libarchive writes neither. */
static const struct compressor {
	const char *name;
	unsigned max_level;
	int (*filter)(struct archive *a, unsigned level); /* in libarchive */
	int (*open)(struct sink *s, unsigned level, struct error *e); /* behind it; NULL: nothing */
} compressors[] = {
	{ "zstd", 22, filter_none, zstd_open },
	{ "gzip", 9, filter_gzip, NULL },
	{ "none", 22, filter_none, NULL },
};

static const struct compressor *find_compressor(const char *name)
{
	for (size_t i = 0; i < sizeof(compressors) / sizeof(*compressors); i++)
		if (streq(compressors[i].name, name))
			return &compressors[i];
	return NULL;
}

bool pack_can(const char *compress, const char **ret_known)
{
	if (ret_known)
		*ret_known = "zstd, gzip or none";
	return find_compressor(compress);
}

/* --- the archive --- */

struct packer {
	struct archive *archive;
	struct archive_entry *header;
	struct sink sink;
	struct pack_totals totals;
	time_t mtime;
	int64_t inode;
	char *buf;
	struct report *report;
	struct error *e;
};

static void packer_free(struct packer *p)
{
	if (p->archive)
		(void)archive_write_free(p->archive); /* closed by hand where it matters */
	archive_entry_free(p->header);
	sink_free(&p->sink);
	free(p->buf);
}
DEFINE_CLEANUP(packer, struct packer, packer_free)

/* libarchive failed: our own sink may know better why. */
static int archive_failed(struct packer *p, const char *path)
{
	if (p->sink.failed)
		return p->sink.failed;
	return error_text(p->e, EIO, "pack /%s: %s", path, archive_error_string(p->archive));
}

static int write_header(struct packer *p, const struct entry *entry, uint64_t size)
{
	struct archive_entry *h = archive_entry_clear(p->header);

	archive_entry_set_pathname(h, entry->path);
	archive_entry_set_mode(h, entry->mode);
	archive_entry_set_mtime(h, p->mtime, 0);
	archive_entry_set_uid(h, 0);
	archive_entry_set_gid(h, 0);
	archive_entry_set_ino64(h, ++p->inode);
	archive_entry_set_nlink(h, S_ISDIR(entry->mode) ? 2 : 1);
	archive_entry_set_dev(h, 0);
	archive_entry_set_rdevmajor(h, major(entry->rdev));
	archive_entry_set_rdevminor(h, minor(entry->rdev));
	archive_entry_set_size(h, S_ISREG(entry->mode) ? (int64_t)size : 0);
	if (S_ISLNK(entry->mode))
		archive_entry_set_symlink(h, entry->data);
	if (archive_write_header(p->archive, h) != ARCHIVE_OK)
		return archive_failed(p, entry->path);
	p->totals.memory += inode_cost + (size + page - 1) / page * page;
	p->totals.content += S_ISREG(entry->mode) ? size : 0;
	return 0;
}

static int write_data(struct packer *p, const struct entry *entry, const void *data, size_t len)
{
	return archive_write_data(p->archive, data, len) == (la_ssize_t)len ? 0
									    : archive_failed(p, entry->path);
}

static int pack_source(struct packer *p, const struct entry *entry)
{
	_cleanup_(fd) int fd = open(entry->source, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(p->e, errno, "pack %s", entry->source);
	uint64_t left = (uint64_t)st.st_size;
	int r = write_header(p, entry, left);

	while (r == 0 && left > 0) {
		ssize_t n = read_full(fd, p->buf, left < block ? left : block);

		if (n < 0)
			return error_errno(p->e, (int)-n, "read %s", entry->source);
		if (n == 0)
			return error_text(p->e, EIO, "read %s: it became shorter while it was packed",
					  entry->source);
		r = write_data(p, entry, p->buf, (size_t)n);
		left -= (uint64_t)n;
	}
	return r;
}

static int pack_entry(struct packer *p, const struct entry *entry)
{
	if (entry->source)
		return pack_source(p, entry);
	int r = write_header(p, entry, entry->size);

	if (r == 0 && S_ISREG(entry->mode) && entry->size)
		r = write_data(p, entry, entry->data, entry->size);
	return r;
}

static int packer_open(struct packer *p, const struct pack_options *o)
{
	const struct compressor *c = find_compressor(o->compress);

	if (!c)
		return error_text(p->e, EINVAL, "write %s: no kernel could unpack our '%s'", p->sink.shown,
				  o->compress);
	if (o->level > c->max_level)
		return error_text(p->e, EINVAL, "write %s: %s has no level %u; its highest is %u",
				  p->sink.shown, c->name, o->level, c->max_level);
	p->archive = archive_write_new();
	p->header = archive_entry_new();
	p->buf = xmalloc(block);
	if (!p->archive || !p->header)
		return error_errno(p->e, ENOMEM, "write %s", p->sink.shown);
	int r = c->open ? c->open(&p->sink, o->level, p->e) : 0;

	if (r < 0)
		return r;
	/* Unblocked: bytes go on as they come, and nothing is added at the end. */
	if (archive_write_set_format_cpio_newc(p->archive) != ARCHIVE_OK ||
	    c->filter(p->archive, o->level) != ARCHIVE_OK ||
	    archive_write_set_bytes_per_block(p->archive, c->open ? 0 : block) != ARCHIVE_OK ||
	    archive_write_set_bytes_in_last_block(p->archive, 1) != ARCHIVE_OK ||
	    archive_write_open(p->archive, &p->sink, NULL, on_bytes, NULL) != ARCHIVE_OK)
		return error_text(p->e, EIO, "write %s: %s", p->sink.shown, archive_error_string(p->archive));
	return 0;
}

int pack_tree(const struct tree *tree, const struct pack_options *options, int fd, const char *shown,
	      struct pack_totals *ret, struct report *report, struct error *e)
{
	struct error fallback = { 0 }; /* the sink always has a place to say why */
	_cleanup_(packer) struct packer p = { .mtime = options->mtime,
					      .report = report,
					      .e = e ? e : &fallback };
	uint64_t total = 0, done = 0;

	p.sink = (struct sink) { .fd = fd, .shown = shown, .e = p.e };
	int r = packer_open(&p, options);

	if (r < 0)
		return r;
	for (size_t i = 0; i < tree->count; i++)
		total += tree->entries[i]->size;
	report_begin(report, "packing the image", total);
	for (size_t i = 0; r == 0 && i < tree->count; i++) {
		r = pack_entry(&p, tree->entries[i]);
		done += tree->entries[i]->size;
		report_progress(report, done);
	}
	if (r == 0 && archive_write_close(p.archive) != ARCHIVE_OK)
		r = archive_failed(&p, "");
	if (r == 0 && p.sink.zstd)
		r = sink_write_zstd(&p.sink, NULL, 0, ZSTD_e_end);
	report_end(report);
	if (r < 0)
		return r;
	*ret = p.totals;
	return 0;
}
