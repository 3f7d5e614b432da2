/* Streams of dump(8): whatever the bytes, reading ends with names and inodes or with one line of error, and what is
 * listed can be read again to the same. The corpus is dump's, of a file system with something of every kind, with its
 * host's name blanked; sums are made right here, so that the fuzzer gets past them. */
#include "backup/dump_reader.h"
#include "backup/dump_tree.h"
#include "backup/ext_xattrs.h"

#include <endian.h>
#include <errno.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const char *at;
	size_t left;
};

/* Pieces of odd sizes, so that headers lie across them. */
static ssize_t next(void *user, const char **ret, struct error *e)
{
	struct input *in = user;
	size_t n = in->left < 1500 ? in->left : 1500;

	(void)e;
	*ret = in->at;
	in->at += n;
	in->left -= n;
	return (ssize_t)n;
}

static int list(void *user, const struct listed *f, struct error *e)
{
	_cleanup_(strbuf) struct strbuf line = { 0 }, again = { 0 };
	_cleanup_(listed) struct listed parsed = { 0 };

	(void)user;
	if (!(f->mode & S_IFMT))
		return 0; /* of a type that there is not */
	listing_format(&line, f);
	_cleanup_(free) char *text = xstrndup(line.data, line.len - 1);

	if (listing_parse(text, &parsed, e) < 0)
		abort(); /* wrote what it cannot read */
	listing_format(&again, &parsed);
	if (!streq(line.data, again.data))
		abort();
	return 0;
}

static void mend_sums(char *data, size_t size)
{
	for (size_t at = 0; at + 1024 <= size; at += 1024) {
		uint32_t n, sum = 0, zero = 0;

		memcpy(&n, data + at + 24, sizeof(n));
		if (le32toh(n) != 60012)
			continue;
		memcpy(data + at + 28, &zero, sizeof(zero));
		for (size_t i = 0; i < 1024; i += 4) {
			memcpy(&n, data + at + i, sizeof(n));
			sum += le32toh(n);
		}
		n = htole32(84446 - sum);
		memcpy(data + at + 28, &n, sizeof(n));
	}
}

static int no_inode(void *user, const struct dump_inode *inode, struct error *e)
{
	(void)user;
	(void)inode;
	(void)e;
	return 0;
}

/* All of the value can be read. */
static int one_attribute(void *user, const char *name, const void *value, size_t len, struct error *e)
{
	_cleanup_(free) char *copy = xmalloc(len + 1);

	(void)user;
	(void)e;
	if (len)
		memcpy(copy, value, len);
	return *name ? 0 : -EBADMSG;
}

static int attributes(void *user, const char *area, size_t len, struct error *e)
{
	_cleanup_(free) char *alone = xmalloc(len); /* so that a byte too far is seen */

	(void)user;
	memcpy(alone, area, len);
	return ext_xattrs_parse(alone, len, one_attribute, NULL, e);
}

static void read_attributes(const char *data, size_t size)
{
	struct input in = { .at = data, .left = size };
	const struct pull pull = { .next = next, .user = &in };
	const struct dump_calls calls = { .begin = no_inode, .xattrs = attributes };
	struct error e = { 0 };

	(void)dump_read(&pull, &calls, NULL, &e); /* either answer is one */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(dump_tree) struct dump_tree *tree = dump_tree_new();
	_cleanup_(free) char *copy = xmalloc(size + 1);
	struct input in = { .at = copy, .left = size };
	const struct pull pull = { .next = next, .user = &in };
	struct error e = { 0 };

	memcpy(copy, data, size);
	mend_sums(copy, size);
	read_attributes(copy, size);
	int r = dump_tree_read(tree, &pull, NULL, &e);

	if (r == 0)
		r = dump_tree_walk(tree, list, NULL, &e);
	if (r < 0 && (!*e.text || strchr(e.text, '\n')))
		abort(); /* no line that says what is wrong */
	return 0;
}
