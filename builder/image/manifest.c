#include "image/manifest.h"

#include "base/digest.h"
#include "base/parallel.h"
#include "image/content.h"
#include "image/draft.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

struct sum {
	char hex[DIGEST_HEX_SIZE];
	int code;
	struct error error;
};

struct work {
	const struct tree *tree;
	struct sum *sums;
};

static int hash(const struct entry *entry, char ret_hex[DIGEST_HEX_SIZE], struct error *e)
{
	_cleanup_(content) struct content c = CONTENT_NONE;
	_cleanup_(digest) struct digest *d = digest_new();
	char piece[65536];
	int r = content_open(entry->same_as ? entry->same_as : entry, &c, e);

	while (r == 0 && c.done < c.size) {
		uint64_t left = c.size - c.done;
		size_t len = left < sizeof(piece) ? (size_t)left : sizeof(piece);

		r = content_read(&c, piece, len, e);
		if (r == 0)
			digest_add(d, piece, len);
	}
	if (r == 0)
		r = content_check(&c, e);
	if (r == 0)
		digest_hex(d, ret_hex);
	return r;
}

static void hash_one(void *user, size_t index, unsigned thread)
{
	const struct work *w = user;
	const struct entry *entry = w->tree->entries[index];
	struct sum *sum = &w->sums[index];

	(void)thread; /* nothing is kept */
	if (S_ISREG(entry->mode))
		sum->code = hash(entry, sum->hex, &sum->error);
}

static int add_kernel(const struct image_draft *d, struct strbuf *ret, struct error *e)
{
	_cleanup_(fd) int fd = open(d->kernel.vmlinuz, O_RDONLY | O_CLOEXEC);
	char hex[DIGEST_HEX_SIZE];
	uint64_t len;
	int r = fd < 0 ? error_errno(e, errno, "open %s", d->kernel.vmlinuz)
		       : digest_fd(fd, d->kernel.vmlinuz, hex, &len, e);

	if (r == 0)
		strbuf_printf(ret, "%s  ./vmlinuz\n", hex);
	return r;
}

int image_manifest(const struct image_draft *draft, struct strbuf *ret, struct error *e)
{
	const struct tree *tree = &draft->tree;
	_cleanup_(free) struct sum *sums = xcalloc(tree->count + 1, sizeof(*sums));
	struct work work = { tree, sums };

	parallel_run(tree->count, hash_one, &work);
	for (size_t i = 0; i < tree->count; i++) {
		if (sums[i].code < 0) {
			*e = sums[i].error;
			return sums[i].code;
		}
		if (S_ISREG(tree->entries[i]->mode))
			strbuf_printf(ret, "%s  ./%s\n", sums[i].hex, tree->entries[i]->path);
	}
	return add_kernel(draft, ret, e);
}

const char *image_kernel_version(const struct image_draft *draft)
{
	return draft->kernel.version;
}

time_t image_created(const struct image_draft *draft)
{
	return draft->created;
}
