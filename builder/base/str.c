#include "base/str.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

void out_of_memory(void)
{
	(void)fputs("lifeboat: out of memory\n", stderr);
	abort();
}

static void *must(void *p)
{
	if (!p)
		out_of_memory();
	return p;
}

void *xmalloc(size_t size)
{
	return must(malloc(size ? size : 1));
}

void *xcalloc(size_t count, size_t size)
{
	return must(calloc(count ? count : 1, size ? size : 1));
}

void *xrealloc(void *p, size_t size)
{
	return must(realloc(p, size ? size : 1));
}

char *xstrdup(const char *s)
{
	return must(strdup(s));
}

char *xstrndup(const char *s, size_t n)
{
	return must(strndup(s, n));
}

__attribute__((format(printf, 1, 0))) static char *xvasprintf(const char *fmt, va_list ap)
{
	char *s = NULL;

	if (vasprintf(&s, fmt, ap) < 0)
		must(NULL);
	return s;
}

char *xasprintf(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	char *s = xvasprintf(fmt, ap);
	va_end(ap);
	return s;
}

void *xgrow(void *array, size_t count, size_t *capacity, size_t element_size)
{
	if (count <= *capacity)
		return array;
	size_t wanted = *capacity ? *capacity : 8;

	while (wanted < count)
		wanted *= 2;
	*capacity = wanted;
	return must(reallocarray(array, wanted, element_size));
}

const char *str_after(const char *s, const char *prefix)
{
	size_t n = strlen(prefix);

	return strncmp(s, prefix, n) == 0 ? s + n : NULL;
}

bool str_ends(const char *s, const char *suffix)
{
	size_t n = strlen(s), m = strlen(suffix);

	return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

bool str_unquote(char *s)
{
	char *out = s;

	while (*s) {
		unsigned byte = (unsigned char)*s++;

		if (byte == '\\') {
			if (strspn(s, "01234567") < 3 || *s > '3')
				return false;
			byte = (unsigned)((s[0] - '0') << 6 | (s[1] - '0') << 3 | (s[2] - '0'));
			s += 3;
			if (!byte)
				return false;
		}
		*out++ = (char)byte;
	}
	*out = '\0';
	return true;
}

char *str_strip(char *s)
{
	while (isspace((unsigned char)*s))
		s++;
	size_t n = strlen(s);

	while (n > 0 && isspace((unsigned char)s[n - 1]))
		n--;
	s[n] = '\0';
	return s;
}

char *str_printable(char *s)
{
	for (unsigned char *p = (unsigned char *)s; *p; p++)
		if (*p < ' ' || *p == 0x7f)
			*p = '?';
		else if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0) /* the same once more in UTF-8 */
			*p = p[1] = '?';
	return s;
}

void strbuf_add(struct strbuf *b, const void *data, size_t len)
{
	b->data = xgrow(b->data, b->len + len + 1, &b->capacity, 1);
	if (len)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = '\0';
}

void strbuf_puts(struct strbuf *b, const char *s)
{
	strbuf_add(b, s, strlen(s));
}

void strbuf_printf(struct strbuf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	_cleanup_(free) char *s = xvasprintf(fmt, ap);
	va_end(ap);
	strbuf_puts(b, s);
}

void strbuf_hex(struct strbuf *b, const unsigned char *bytes, size_t len)
{
	static const char digits[] = "0123456789abcdef";

	b->data = xgrow(b->data, b->len + 2 * len + 1, &b->capacity, 1);
	for (size_t i = 0; i < len; i++) {
		b->data[b->len++] = digits[bytes[i] >> 4];
		b->data[b->len++] = digits[bytes[i] & 15];
	}
	b->data[b->len] = '\0';
}

void strbuf_free(struct strbuf *b)
{
	free(b->data);
	*b = (struct strbuf) { 0 };
}

void strlist_take(struct strlist *l, char *s)
{
	l->items = xgrow(l->items, l->count + 2, &l->capacity, sizeof(*l->items));
	l->items[l->count++] = s;
	l->items[l->count] = NULL;
}

void strlist_add(struct strlist *l, const char *s)
{
	strlist_take(l, xstrdup(s));
}

void strlist_addf(struct strlist *l, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	strlist_take(l, xvasprintf(fmt, ap));
	va_end(ap);
}

void strlist_add_words(struct strlist *l, const char *words)
{
	static const char space[] = " \t\r\n";

	for (const char *p = words + strspn(words, space); *p; p += strspn(p, space)) {
		size_t n = strcspn(p, space);

		strlist_take(l, xstrndup(p, n));
		p += n;
	}
}

void strlist_add_parts(struct strlist *l, const char *s, char between)
{
	for (;;) {
		const char *end = strchrnul(s, between);

		if (end > s)
			strlist_take(l, xstrndup(s, (size_t)(end - s)));
		if (!*end)
			return;
		s = end + 1;
	}
}

bool strlist_has(const struct strlist *l, const char *s)
{
	for (size_t i = 0; i < l->count; i++)
		if (streq(l->items[i], s))
			return true;
	return false;
}

void strlist_add_once(struct strlist *l, const char *s)
{
	if (!strlist_has(l, s))
		strlist_add(l, s);
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void strlist_sort(struct strlist *l)
{
	if (l->count)
		qsort(l->items, l->count, sizeof(*l->items), by_bytes);
}

char *strlist_join(const struct strlist *l, const char *between)
{
	struct strbuf b = { 0 };

	strbuf_puts(&b, "");
	for (size_t i = 0; i < l->count; i++)
		strbuf_printf(&b, "%s%s", i ? between : "", l->items[i]);
	return b.data;
}

void strlist_free(struct strlist *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->items[i]);
	free(l->items);
	*l = (struct strlist) { 0 };
}

/* The digits at the start of `s`; `*ret_rest` is what follows them. */
static int parse_digits(const char *s, uint64_t *ret, const char **ret_rest)
{
	char *end;

	if (!isdigit((unsigned char)*s))
		return -EINVAL;
	errno = 0;
	unsigned long long v = strtoull(s, &end, 10);

	if (errno)
		return -ERANGE; /* the only way strtoull fails on digits */
	*ret = v;
	*ret_rest = end;
	return 0;
}

int parse_u64(const char *s, uint64_t *ret)
{
	const char *rest;
	uint64_t v;
	int r = parse_digits(s, &v, &rest);

	if (r < 0)
		return r;
	if (*rest)
		return -EINVAL;
	*ret = v;
	return 0;
}

int parse_size(const char *s, uint64_t *ret_bytes)
{
	static const char suffixes[] = "KMGT";
	const char *rest;
	uint64_t v;
	int r = parse_digits(s, &v, &rest);

	if (r < 0)
		return r;
	if (*rest) {
		const char *at = strchr(suffixes, toupper((unsigned char)*rest));

		if (!at || rest[1])
			return -EINVAL;
		unsigned shift = 10 * (unsigned)(at - suffixes + 1);

		if (v > (UINT64_MAX >> shift))
			return -ERANGE;
		v <<= shift;
	}
	*ret_bytes = v;
	return 0;
}

int parse_bool(const char *s, bool *ret)
{
	if (streq(s, "yes"))
		*ret = true;
	else if (streq(s, "no"))
		*ret = false;
	else
		return -EINVAL;
	return 0;
}

const char *format_size(uint64_t bytes, char buf[SIZE_TEXT_MAX])
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB" };
	double v = (double)bytes;
	size_t u = 0;

	while (v >= 1024 && u + 1 < sizeof(units) / sizeof(*units)) {
		v /= 1024;
		u++;
	}
	(void)snprintf(buf, SIZE_TEXT_MAX, u == 0 ? "%.0f %s" : "%.1f %s", v, units[u]);
	return buf;
}
