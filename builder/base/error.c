#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* vsnprintf that returns what is really in the buffer. */
__attribute__((format(printf, 3, 0))) static size_t put(char *buf, size_t size, const char *fmt, va_list ap)
{
	int n = vsnprintf(buf, size, fmt, ap);

	if (n < 0)
		return 0;
	return (size_t)n < size ? (size_t)n : size - 1;
}

void error_fill_errno(struct error *e, int code, const char *fmt, ...)
{
	if (e) {
		va_list ap;

		va_start(ap, fmt);
		size_t n = put(e->text, sizeof(e->text), fmt, ap);
		va_end(ap);
		e->code = code;
		(void)snprintf(e->text + n, sizeof(e->text) - n, ": %s", strerror(code));
	}
}

void error_fill_text(struct error *e, int code, const char *fmt, ...)
{
	if (e) {
		va_list ap;

		va_start(ap, fmt);
		(void)put(e->text, sizeof(e->text), fmt, ap);
		va_end(ap);
		e->code = code;
	}
}

void error_prefix(struct error *e, const char *fmt, ...)
{
	char old[sizeof(e->text)];
	va_list ap;

	if (!e)
		return;
	memcpy(old, e->text, sizeof(old));
	va_start(ap, fmt);
	size_t n = put(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	/* A cut tail is better than no line at all. */
	(void)snprintf(e->text + n, sizeof(e->text) - n, ": %.*s",
		       (int)(sizeof(e->text) - n > 3 ? sizeof(e->text) - n - 3 : 0), old);
}
