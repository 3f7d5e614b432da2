#include "backup/listing.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

void listed_free(struct listed *f)
{
	free(f->path);
	free(f->target);
	*f = (struct listed) { 0 };
}

void listing_free(struct listing *l)
{
	spill_free(&l->all);
	spill_free(&l->texts);
	*l = (struct listing) { 0 };
}

static char *keep_text(struct listing *l, const char *text)
{
	return text ? spill_put(&l->texts, text, strlen(text) + 1) : NULL;
}

void listing_take(struct listing *l, struct listed *f)
{
	struct listed *item = spill_more(&l->all, sizeof(*item));

	*item = *f;
	item->path = keep_text(l, f->path);
	item->target = keep_text(l, f->target);
	listed_free(f);
	l->items = l->all.data;
	l->count++;
}

int listing_sound(const struct listing *l, struct error *e)
{
	int r = spill_check(&l->all, e);

	return r < 0 ? r : spill_check(&l->texts, e);
}

int listing_compare_paths(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	int x = *a == '/' ? 1 : *a ? (unsigned char)*a + 1 : 0;
	int y = *b == '/' ? 1 : *b ? (unsigned char)*b + 1 : 0;

	return x - y;
}

static int by_path(const void *a, const void *b)
{
	return listing_compare_paths(((const struct listed *)a)->path, ((const struct listed *)b)->path);
}

void listing_sort(struct listing *l)
{
	if (l->count)
		qsort(l->items, l->count, sizeof(*l->items), by_path);
}

const struct listed *listing_find(const struct listing *l, const char *path)
{
	const struct listed key = { .path = (char *)(uintptr_t)path };

	return l->count ? bsearch(&key, l->items, l->count, sizeof(*l->items), by_path) : NULL;
}

/* ---- writing ---- */

static const struct {
	const char *name;
	mode_t type;
} types[] = { { "file", S_IFREG }, { "dir", S_IFDIR },  { "link", S_IFLNK },   { "block", S_IFBLK },
	      { "char", S_IFCHR }, { "fifo", S_IFIFO }, { "socket", S_IFSOCK } };

void listing_quote(struct strbuf *b, const char *s)
{
	for (;;) {
		size_t plain = 0;

		while (s[plain] > ' ' && s[plain] <= '~' && !strchr("#=\\*?[]", s[plain]))
			plain++;
		strbuf_add(b, s, plain);
		s += plain;
		if (!*s)
			return;
		strbuf_printf(b, "\\%03o", (unsigned char)*s++);
	}
}

bool listing_has_type(mode_t mode)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (types[i].type == (mode & S_IFMT))
			return true;
	return false;
}

void listing_format(struct strbuf *b, const struct listed *f)
{
	const char *type = "file";

	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (types[i].type == (f->mode & S_IFMT))
			type = types[i].name;
	listing_quote(b, f->path);
	strbuf_printf(b, " type=%s mode=0%o uid=%u gid=%u", type, f->mode & 07777, f->uid, f->gid);
	if (S_ISREG(f->mode))
		strbuf_printf(b, " size=%" PRIu64, f->size);
	strbuf_printf(b, " time=%lld.%09ld", (long long)f->mtime.tv_sec, f->mtime.tv_nsec);
	if (!S_ISDIR(f->mode))
		strbuf_printf(b, " nlink=%u", f->nlink);
	strbuf_printf(b, " inode=%" PRIu64, f->ino);
	if (S_ISBLK(f->mode) || S_ISCHR(f->mode))
		strbuf_printf(b, " device=linux,%u,%u", major(f->device), minor(f->device));
	if (f->target) {
		strbuf_puts(b, " link=");
		listing_quote(b, f->target);
	}
	if (f->has_sha) {
		strbuf_puts(b, " sha256=");
		strbuf_hex(b, f->sha, sizeof(f->sha));
	}
	if (f->has_xattrs) {
		strbuf_puts(b, " xattrs=");
		strbuf_hex(b, f->xattrs, sizeof(f->xattrs));
	}
	strbuf_puts(b, "\n");
}

/* ---- reading ---- */

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool get_hex(const char *s, unsigned char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++, s += 2) {
		int high = digit(s[0]), low = high < 0 ? -1 : digit(s[1]);

		if (low < 0)
			return false;
		bytes[i] = (unsigned char)(high << 4 | low);
	}
	return !*s;
}

static bool get_number(const char *s, uint64_t max, uint64_t *ret)
{
	return parse_u64(s, ret) == 0 && *ret <= max;
}

static bool get_u32(const char *s, uint32_t *ret)
{
	uint64_t n;

	if (!get_number(s, UINT32_MAX, &n))
		return false;
	*ret = (uint32_t)n;
	return true;
}

static bool get_time(char *s, struct timespec *ret)
{
	char *end;
	uint64_t nanoseconds;

	errno = 0;
	ret->tv_sec = strtoll(s, &end, 10);
	if (errno || end == s || *end != '.' || strlen(end + 1) != 9 ||
	    !get_number(end + 1, 999999999, &nanoseconds))
		return false;
	ret->tv_nsec = (long)nanoseconds;
	return true;
}

static bool get_type(const char *s, struct listed *f)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (streq(s, types[i].name)) {
			f->mode |= types[i].type;
			return true;
		}
	return false;
}

static bool get_mode(const char *s, struct listed *f)
{
	size_t n = strlen(s);

	if (n == 0 || n > 5 || strspn(s, "01234567") != n)
		return false;
	unsigned long mode = strtoul(s, NULL, 8); /* at most five digits */

	f->mode |= (mode_t)mode & 07777;
	return mode <= 07777;
}

static bool get_device(const char *s, struct listed *f)
{
	unsigned numbers[2];
	char after;

	s = str_after(s, "linux,");
	if (!s || sscanf(s, "%9u,%9u%c", &numbers[0], &numbers[1], &after) != 2)
		return false;
	f->device = makedev(numbers[0], numbers[1]);
	return true;
}

static bool get_target(char *s, struct listed *f)
{
	if (f->target || !*s || !str_unquote(s))
		return false;
	f->target = xstrdup(s);
	return true;
}

static bool get_value(const char *key, char *value, struct listed *f)
{
	if (streq(key, "type"))
		return get_type(value, f);
	if (streq(key, "mode"))
		return get_mode(value, f);
	if (streq(key, "uid"))
		return get_u32(value, &f->uid);
	if (streq(key, "gid"))
		return get_u32(value, &f->gid);
	if (streq(key, "nlink"))
		return get_u32(value, &f->nlink);
	if (streq(key, "size"))
		return get_number(value, INT64_MAX, &f->size);
	if (streq(key, "inode"))
		return get_number(value, UINT64_MAX, &f->ino);
	if (streq(key, "time"))
		return get_time(value, &f->mtime);
	if (streq(key, "device"))
		return get_device(value, f);
	if (streq(key, "link"))
		return get_target(value, f);
	if (streq(key, "sha256"))
		return f->has_sha = get_hex(value, f->sha, sizeof(f->sha));
	if (streq(key, "xattrs"))
		return f->has_xattrs = get_hex(value, f->xattrs, sizeof(f->xattrs));
	return false;
}

/* Nothing leads out of the folder below which the listing's paths are. */
static bool path_good(const char *path)
{
	if (streq(path, "."))
		return true;
	const char *part = str_after(path, "./");

	while (part) {
		size_t n = strcspn(part, "/");

		if (n == 0 || (n <= 2 && strspn(part, ".") >= n))
			return false;
		part = part[n] ? part + n + 1 : NULL;
		if (!part)
			return true;
	}
	return false;
}

int listing_parse(char *line, struct listed *ret, struct error *e)
{
	_cleanup_(listed) struct listed f = { 0 };
	char *rest = line, *path = strsep(&rest, " ");
	bool good = str_unquote(path) && path_good(path);

	f.path = xstrdup(path);
	for (char *word; good && (word = strsep(&rest, " "));) {
		char *value = strchr(word, '=');

		good = value != NULL;
		if (value) {
			*value = '\0';
			good = get_value(word, value + 1, &f);
		}
	}
	if (!good || !(f.mode & S_IFMT) || S_ISLNK(f.mode) != (f.target != NULL))
		return error_text(e, EBADMSG, "bad line for '%.100s'", f.path);
	*ret = f;
	f = (struct listed) { 0 };
	return 0;
}
