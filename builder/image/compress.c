#include "image/compress.h"

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/str.h"

#include <errno.h>

static const struct compressor *const compressors[] = { &compressor_zstd, &compressor_xz, &compressor_gzip,
							&compressor_lz4, &compressor_none };

const struct compressor *compressor_find(const char *name, const char **ret_known)
{
	if (ret_known)
		*ret_known = "zstd, xz, gzip, lz4 or none";
	for (size_t i = 0; i < sizeof(compressors) / sizeof(*compressors); i++)
		if (streq(compressors[i]->name, name))
			return compressors[i];
	return NULL;
}

/* --- as it comes --- */

static void *none_open(unsigned level)
{
	static int nothing;

	(void)level; /* there is nothing to set */
	return &nothing;
}

static int none_write(void *state, const void *data, size_t len, bool last,
		      int (*out)(void *user, const void *data, size_t len), void *user, const char **ret_why)
{
	(void)state;
	(void)last;
	(void)ret_why;
	return len ? out(user, data, len) : 0;
}

static void none_close(void *state)
{
	(void)state; /* nothing was allocated */
}

const struct compressor compressor_none = { "none", 22, 1, none_open, none_write, none_close };

/* --- the file --- */

int compress_open(const struct compressor *compressor, unsigned level, int fd, const char *shown,
		  struct compress *ret, struct error *e)
{
	if (level > compressor->max_level)
		return error_text(e, EINVAL, "write %s: %s has no level %u; its highest is %u", shown,
				  compressor->name, level, compressor->max_level);
	void *state = compressor->open(level ? level : compressor->default_level);

	if (!state)
		return error_errno(e, ENOMEM, "start %s", compressor->name);
	*ret = (struct compress) { compressor, state, fd, shown, e, 0 };
	return 0;
}

/* So much is written before the disk is told to begin with it. */
enum { flush_size = 4 << 20 };

static int to_file(void *user, const void *data, size_t len)
{
	struct compress *c = user;
	int r = write_all(c->fd, data, len);

	if (r < 0)
		return error_errno(c->e, -r, "write %s", c->shown);
	c->unflushed += len;
	if (c->unflushed >= flush_size) {
		flush_begin(c->fd);
		c->unflushed = 0;
	}
	return 0;
}

static int push(struct compress *c, const void *data, size_t len, bool last)
{
	const char *why = NULL;

	if (!c->failed)
		c->failed = c->compressor->write(c->state, data, len, last, to_file, c, &why);
	if (why)
		(void)error_text(c->e, EIO, "compress %s: %s", c->shown, why); /* kept in `failed` */
	return c->failed;
}

int compress_write(struct compress *c, const void *data, size_t len)
{
	return push(c, data, len, false);
}

int compress_end(struct compress *c)
{
	return push(c, NULL, 0, true);
}

void compress_close(struct compress *c)
{
	if (c->compressor)
		c->compressor->close(c->state);
	*c = (struct compress) { 0 };
}
