/* Swap space: UUID, label, page size. Layout: the kernel's include/linux/swap.h, union swap_header. */
#include "machine/fs.h"

#include "base/fs.h"
#include "base/proc.h"
#include "machine/text.h"

#include <errno.h>
#include <fcntl.h>

static const char *const types[] = { "swap", NULL };
static const struct ini_key keys[] = {
	{ "fs.page-size", "a number of bytes", check_number },
	{ NULL, NULL, NULL },
};

/* The signature fills the end of the first page, whatever size that has. */
static int swap_describe(const char *node, const char *folder, struct content *c, struct report *report,
			 struct error *e)
{
	static const unsigned sizes[] = { 4096, 8192, 16384, 65536 };
	_cleanup_(fd) int fd = open(node, O_RDONLY | O_CLOEXEC);

	(void)folder; /* swap is not mounted */
	(void)report; /* nothing to warn of */
	if (fd < 0)
		return error_errno(e, errno, "open %s", node);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		char magic[10];
		ssize_t n = pread_full(fd, magic, sizeof(magic), (off_t)(sizes[i] - sizeof(magic)));

		if (n < 0)
			return error_errno(e, (int)-n, "read %s", node);
		if (n == sizeof(magic) && memcmp(magic, "SWAPSPACE2", sizeof(magic)) == 0) {
			content_set_number(c, "page-size", sizes[i]);
			return 0;
		}
	}
	return error_text(e, EOPNOTSUPP, "%s: old or foreign swap format, which cannot be rebuilt yet", node);
}

static uint64_t swap_zero(const struct content *c)
{
	(void)c; /* swap takes what it gets, and is not shrunk */
	return 0;
}

static uint64_t swap_block_size(const struct content *c)
{
	uint64_t page = content_number(c, "page-size");

	return page ? page : 4096;
}

static int swap_make(const char *node, const struct content *c, struct error *e)
{
	const char *page = key_values_get(&c->parameters, "page-size");
	_cleanup_(strlist) struct strlist argv = { 0 };

	strlist_add_words(&argv, "mkswap --force");
	if (page) {
		strlist_add(&argv, "--pagesize");
		strlist_add(&argv, page);
	}
	if (c->uuid) {
		strlist_add(&argv, "--uuid");
		strlist_add(&argv, c->uuid);
	}
	if (c->label) {
		strlist_add(&argv, "--label");
		strlist_add(&argv, c->label);
	}
	strlist_add(&argv, node);
	return proc_run((const char *const *)argv.items, NULL, e);
}

const struct fs_ops fs_swap = {
	.types = types,
	.kind = CONTENT_SWAP,
	.keys = keys,
	.check_uuid = check_uuid,
	.uuid_expected = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx in hexadecimal digits",
	.describe = swap_describe,
	.minimum = swap_zero,
	.size = swap_zero,
	.block_size = swap_block_size,
	.make = swap_make,
};
