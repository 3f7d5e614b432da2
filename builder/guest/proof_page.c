#include "guest/proof_page.h"

#include "guest/proof_text.h"

#include <openssl/evp.h>

void page_text(struct strbuf *b, const char *s)
{
	strbuf_puts(b, "");
	for (; *s; s++)
		switch (*s) {
		case '&':
			strbuf_puts(b, "&amp;");
			break;
		case '<':
			strbuf_puts(b, "&lt;");
			break;
		case '>':
			strbuf_puts(b, "&gt;");
			break;
		case '"':
			strbuf_puts(b, "&quot;");
			break;
		case '\'':
			strbuf_puts(b, "&#39;");
			break;
		default:
			strbuf_add(b, s, 1);
		}
}

void page_name_short(struct strbuf *b, const char *s, size_t most)
{
	_cleanup_(strbuf) struct strbuf quoted = { 0 };
	size_t characters = 0, end = 0, cut = 0;

	proof_quote(&quoted, s);
	for (; end < quoted.len; end++)
		if ((quoted.data[end] & 0xc0) != 0x80 && ++characters == most)
			cut = end; /* where the last one would begin */
	if (characters > most)
		quoted.data[cut] = '\0';
	page_text(b, quoted.data);
	if (characters > most)
		strbuf_puts(b, "…");
}

void page_name(struct strbuf *b, const char *s)
{
	if (s && *s)
		page_name_short(b, s, SIZE_MAX);
	else
		strbuf_puts(b, "–");
}

void page_lines(struct strbuf *b, const char *s)
{
	_cleanup_(strbuf) struct strbuf lines = { 0 };

	proof_lines(&lines, s, strlen(s));
	page_text(b, lines.data);
}

void page_count(struct strbuf *b, uint64_t n)
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)n);

	for (int i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0)
			strbuf_puts(b, ",");
		strbuf_add(b, &digits[i], 1);
	}
}

void page_size(struct strbuf *b, uint64_t bytes)
{
	char text[SIZE_TEXT_MAX];

	strbuf_puts(b, format_size(bytes, text));
}

void page_seconds(struct strbuf *b, double seconds)
{
	if (!(seconds >= 0 && seconds < 1e9)) { /* also what is no number */
		strbuf_puts(b, "–");
		return;
	}
	unsigned long whole = (unsigned long)(seconds + 0.5);

	if (seconds < 9.95)
		strbuf_printf(b, "%.1f s", seconds);
	else if (whole < 60)
		strbuf_printf(b, "%lu s", whole);
	else if (whole < 3600)
		strbuf_printf(b, "%lu min %02lu s", whole / 60, whole % 60);
	else
		strbuf_printf(b, "%lu h %02lu min", (whole + 30) / 3600, (whole + 30) % 3600 / 60);
}

void page_time(struct strbuf *b, time_t t)
{
	struct tm tm;
	char text[64];

	if (gmtime_r(&t, &tm) && strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &tm))
		strbuf_puts(b, text);
	else
		strbuf_puts(b, "–");
}

void page_png(struct strbuf *b, const unsigned char *png, size_t len)
{
	_cleanup_(free) unsigned char *text = xmalloc((len + 2) / 3 * 4 + 1);

	strbuf_puts(b, "data:image/png;base64,");
	strbuf_add(b, text, (size_t)EVP_EncodeBlock(text, png, (int)len)); /* at most 4 MiB */
}
