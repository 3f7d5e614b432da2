#include "backup/xattrs.h"

#include "backup/inside.h"
#include "backup/listing.h"
#include "backup/set_private.h"
#include "backup/stream_thread.h"
#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>

enum {
	names_max = XATTR_LIST_MAX, /* the kernel's own limits */
	value_max = XATTR_SIZE_MAX,
};

/* ---- saving ---- */

static void put_quoted(struct strbuf *b, const char *s, const char *also)
{
	for (; *s; s++)
		if (*s == '\n' || *s == '\r' || *s == '\\' || strchr(also, *s))
			strbuf_printf(b, "\\%03o", (unsigned char)*s);
		else
			strbuf_add(b, s, 1);
}

static void put_value(struct strbuf *b, const char *name, const unsigned char *value, size_t len)
{
	put_quoted(b, name, "=");
	strbuf_puts(b, "=0x");
	strbuf_hex(b, value, len);
	strbuf_puts(b, "\n");
}

/* The values of the `len` bytes of `names`. */
static int put_values(struct strbuf *b, const char *at, const char *path, const char *names, size_t len,
		      struct error *e)
{
	_cleanup_(free) unsigned char *value = xmalloc(value_max);

	for (const char *name = names; name < names + len; name += strlen(name) + 1) {
		ssize_t n = lgetxattr(at, name, value, value_max);

		if (n < 0 && errno != ENODATA && errno != ENOENT)
			return error_errno(e, errno, "read %s of %s", name, path);
		if (n >= 0)
			put_value(b, name, value, (size_t)n);
	}
	return 0;
}

/* The names of all attributes of what is at `at`; `few` is used where they fit. Their bytes, or negative. */
static ssize_t read_names(const char *at, char *few, size_t size, char **ret_many, const char *path,
			  struct error *e)
{
	ssize_t len = llistxattr(at, few, size);

	*ret_many = len < 0 && errno == ERANGE ? xmalloc(names_max) : NULL;
	if (*ret_many)
		len = llistxattr(at, *ret_many, names_max);
	if (len < 0 && (errno == ENOENT || errno == ENOTSUP))
		return 0;
	return len < 0 ? error_errno(e, errno, "list the attributes of %s", path) : len;
}

int xattrs_digest(int dirfd, const char *name, const char *path, bool *ret_any, unsigned char *ret,
		  struct error *e)
{
	_cleanup_(free) char *many = NULL;
	_cleanup_(strlist) struct strlist sorted = { 0 };
	unsigned char whole[DIGEST_SIZE];
	char few[256], at[sizeof("/proc/self/fd/") + 10 + 1 + NAME_MAX];

	(void)snprintf(at, sizeof(at), "/proc/self/fd/%d/%s", dirfd, name);
	ssize_t len = read_names(at, few, sizeof(few), &many, path, e);

	*ret_any = len > 0;
	if (len <= 0)
		return (int)len;
	_cleanup_(free) unsigned char *value = xmalloc(value_max);
	_cleanup_(digest) struct digest *d = digest_new();
	const char *names = many ? many : few;

	for (const char *one = names; one < names + len; one += strlen(one) + 1)
		strlist_add(&sorted, one);
	strlist_sort(&sorted);
	for (size_t i = 0; i < sorted.count; i++) {
		ssize_t n = lgetxattr(at, sorted.items[i], value, value_max);
		char size[24];

		if (n < 0 && errno != ENODATA && errno != ENOENT)
			return error_errno(e, errno, "read %s of %s", sorted.items[i], path);
		if (n < 0)
			continue;
		(void)snprintf(size, sizeof(size), "%zd", n);
		digest_add(d, sorted.items[i], strlen(sorted.items[i]) + 1);
		digest_add(d, size, strlen(size) + 1);
		digest_add(d, value, (size_t)n);
	}
	digest_bytes(d, whole);
	memcpy(ret, whole, LISTING_XATTRS);
	return 0;
}

int xattrs_list(struct strbuf *records, int dirfd, const char *name, const char *path, struct error *e)
{
	_cleanup_(free) char *at = xasprintf("/proc/self/fd/%d/%s", dirfd, name);
	_cleanup_(free) char *many = NULL;
	char few[256];
	ssize_t len = read_names(at, few, sizeof(few), &many, path, e);

	if (len < 0)
		return (int)len;
	const char *names = many ? many : few;

	if (len == 0 || strlen(names) + 1 == (size_t)len)
		return 0; /* none, or one */
	strbuf_puts(records, "# file: ");
	put_quoted(records, path, "");
	strbuf_puts(records, "\n");
	int r = put_values(records, at, path, names, (size_t)len, e);

	strbuf_puts(records, "\n");
	return r;
}

int xattrs_save(struct set_writer *w, const char *name, const struct strbuf *records, struct error *e)
{
	return stream_add_text(w, name, XATTRS_METHOD, records, e);
}

/* ---- restoring ---- */

struct change {
	const char *name;
	const unsigned char *value;
	size_t len;
};

static int change_open(int fd, void *user)
{
	const struct change *c = user;

	return fsetxattr(fd, c->name, c->value, c->len, 0) < 0 ? -errno : 0;
}

/* By O_PATH, since what has attributes may be a link or a device. */
static int change_path(int rootfd, const char *path, struct change *c)
{
	_cleanup_(fd) int fd = open_inside(rootfd, path, O_PATH);

	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
	_cleanup_(free) char *at = xasprintf("/proc/self/fd/%d", fd);

	if (setxattr(at, c->name, c->value, c->len, 0) == 0)
		return 0;
	return errno == EPERM ? change_flagged(rootfd, path, change_open, c) : -errno;
}

/* In place. False: it holds something that put_quoted() does not write. */
static bool unquote(char *s)
{
	char *out = s;

	while (*s) {
		unsigned byte = (unsigned char)*s++;

		if (byte == '\\') {
			if (strspn(s, "01234567") < 3 || sscanf(s, "%3o", &byte) != 1 || byte > 255)
				return false;
			s += 3;
		}
		*out++ = (char)byte;
	}
	*out = '\0';
	return true;
}

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* In place: the value takes half the room of its digits. */
static bool parse_hex(char *hex, size_t *ret_len)
{
	size_t len = 0;

	for (; hex[2 * len]; len++) {
		int high = digit(hex[2 * len]), low = high < 0 ? -1 : digit(hex[2 * len + 1]);

		if (low < 0)
			return false;
		hex[len] = (char)(high << 4 | low);
	}
	*ret_len = len;
	return true;
}

/* "NAME=0xHEX" of `path`; changes the line. */
static int put_back_one(int rootfd, const char *folder, const char *path, char *line, struct error *e)
{
	char *hex = strstr(line, "=0x");
	struct change c = { .name = line };

	if (!hex || !*path)
		return error_text(e, EBADMSG, "%s: put attributes back: bad record '%.40s'", folder, line);
	*hex = '\0';
	hex += strlen("=0x");
	c.value = (const unsigned char *)hex;
	if (!unquote(line) || !parse_hex(hex, &c.len))
		return error_text(e, EBADMSG, "%s: put attributes back: bad record '%.40s'", folder, line);
	int r = change_path(rootfd, path, &c);

	return r < 0 ? error_errno(e, -r, "set %s of %s/%s", c.name, folder, path) : 0;
}

static int put_back(int rootfd, const char *folder, char *records,
		    const char *(*where)(void *user, const char *path), void *user, struct error *e)
{
	const char *path = "";
	int r = 0;

	for (char *line; r == 0 && (line = strsep(&records, "\n"));) {
		if (!*line)
			continue;
		if (strncmp(line, "# file: ", 8) != 0) {
			r = path ? put_back_one(rootfd, folder, path, line, e) : 0;
			continue;
		}
		if (!unquote(line + 8))
			r = error_text(e, EBADMSG, "%s: put attributes back: bad path '%.40s'", folder,
				       line + 8);
		path = where ? where(user, line + 8) : line + 8;
	}
	return r;
}

int xattrs_restore(struct set *s, const char *name, const char *folder, struct error *e)
{
	return xattrs_restore_some(s, name, folder, NULL, NULL, e);
}

int xattrs_restore_some(struct set *s, const char *name, const char *folder,
			const char *(*where)(void *user, const char *path), void *user, struct error *e)
{
	_cleanup_(free) char *records = NULL;

	if (!chunk_find(&s->sums, name, XATTRS_METHOD, 0))
		return 0;
	_cleanup_(fd) int rootfd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (rootfd < 0)
		return error_errno(e, errno, "open %s", folder);
	int r = stream_get_text(s, name, XATTRS_METHOD, &records, NULL, e);

	return r < 0 ? r : put_back(rootfd, folder, records, where, user, e);
}
