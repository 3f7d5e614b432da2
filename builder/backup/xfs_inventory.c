#include "backup/xfs_inventory.h"

#include "backup/set_private.h"
#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>

enum { file_max = 64 << 20 };

int xfs_inventory_pack(const char *folder, struct strbuf *ret, struct error *e)
{
	_cleanup_(strlist) struct strlist names = { 0 };
	_cleanup_(fd) int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? 0 : error_errno(e, errno, "open %s", folder);
	int r = set_read_folder(fd, ".", folder, &names, e);

	for (size_t i = 0; r == 0 && i < names.count; i++) {
		_cleanup_(free) char *data = NULL;
		size_t len = 0;

		r = read_file_at(fd, names.items[i], file_max, &data, &len, e);
		if (r == 0) {
			strbuf_printf(ret, "%s %zu\n", names.items[i], len);
			strbuf_add(ret, data, len);
		}
	}
	return r;
}

static int bad(struct error *e)
{
	return error_text(e, EBADMSG, "the inventory of the set below: bad record");
}

int xfs_inventory_unpack(const char *text, size_t len, const char *folder, struct error *e)
{
	int r = mkdir_parents_at(AT_FDCWD, folder, 0700, e);
	_cleanup_(fd) int fd = r < 0 ? -1 : open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (r == 0 && fd < 0)
		r = error_errno(e, errno, "open %s", folder);
	for (const char *end = text + len; r == 0 && text < end;) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		_cleanup_(free) char *head = newline ? xstrndup(text, (size_t)(newline - text)) : NULL;
		char *blank = head ? strchr(head, ' ') : NULL;
		uint64_t size = 0;

		if (!blank)
			return bad(e);
		*blank = '\0';
		if (parse_u64(blank + 1, &size) < 0 || size > (uint64_t)(end - newline - 1) ||
		    !set_name_good(head))
			return bad(e);
		r = write_file_at(fd, head, 0600, newline + 1, (size_t)size, e);
		text = newline + 1 + size;
	}
	return r;
}
