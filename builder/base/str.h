/* Strings: a growable buffer, a list, sizes. Allocation failure ends the program: a tool that
 * holds a few megabytes has no better answer, and no caller would have tested one. */
#pragma once
#include "base/cleanup.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

void out_of_memory(void) __attribute__((noreturn));
void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *p, size_t size);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Doubles `*ret_capacity` (in elements) until `count` fit, and moves the array there. */
void *xgrow(void *array, size_t count, size_t *capacity, size_t element_size);

static inline bool streq(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

/* What follows `prefix` in `s`, or NULL when `s` does not start with it. */
const char *str_after(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);
/* Each \OOO becomes its byte, in place. False: a \ that no three octal digits of a byte follow, or of NUL. */
bool str_unquote(char *s);

/* Cuts white space off both ends in place; returns the new start. */
char *str_strip(char *s);

/* For people's eyes: control characters of foreign texts (labels, names) become '?' in place, so that they
 * neither break a line nor command the terminal. Returns `s`. */
char *str_printable(char *s);

/* Growable, always NUL-terminated. Zero-initialised is empty; `data` is NULL until something
 * was added. */
struct strbuf {
	char *data;
	size_t len, capacity;
};
void strbuf_add(struct strbuf *b, const void *data, size_t len);
void strbuf_puts(struct strbuf *b, const char *s);
void strbuf_printf(struct strbuf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void strbuf_hex(struct strbuf *b, const unsigned char *bytes, size_t len); /* in lower-case digits */
void strbuf_free(struct strbuf *b);
DEFINE_CLEANUP(strbuf, struct strbuf, strbuf_free)

/* Owned strings in order. Zero-initialised is empty; `items` is NULL-terminated once non-empty,
 * so that it serves as an argv. */
struct strlist {
	char **items;
	size_t count, capacity;
};
void strlist_add(struct strlist *l, const char *s);
void strlist_take(struct strlist *l, char *s); /* owns `s` from here on */
void strlist_addf(struct strlist *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void strlist_add_words(struct strlist *l, const char *words); /* split at white space */
void strlist_add_parts(struct strlist *l, const char *s, char between); /* split at that, none is empty */
bool strlist_has(const struct strlist *l, const char *s);
void strlist_add_once(struct strlist *l, const char *s);
void strlist_sort(struct strlist *l); /* by bytes */
char *strlist_join(const struct strlist *l, const char *between); /* caller frees */
void strlist_free(struct strlist *l);
DEFINE_CLEANUP(strlist, struct strlist, strlist_free)

/* "120M" → bytes; suffixes K M G T are powers of 1024. 0 or -EINVAL/-ERANGE. */
int parse_size(const char *s, uint64_t *ret_bytes);
/* A plain decimal number. 0 or -EINVAL/-ERANGE. */
int parse_u64(const char *s, uint64_t *ret);
/* "yes"/"no". 0 or -EINVAL. */
int parse_bool(const char *s, bool *ret);

/* "1.2 GiB" into a static-size buffer that the caller gives; returns it. */
#define SIZE_TEXT_MAX 24
const char *format_size(uint64_t bytes, char buf[SIZE_TEXT_MAX]);
