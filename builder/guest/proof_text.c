#include "guest/proof_text.h"

enum { ESCAPE = 0x1b };
static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */

/* The character at `s` (RFC 3629): its length, or 0 when it is none. */
static size_t decode(const unsigned char *s, size_t len, uint32_t *ret)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t size = s[0] < 0x80   ? 1
		      : s[0] < 0xc2 ? 0
		      : s[0] < 0xe0 ? 2
		      : s[0] < 0xf0 ? 3
		      : s[0] < 0xf5 ? 4
				    : 0;

	if (!size || size > len)
		return 0;
	uint32_t c = size == 1 ? s[0] : s[0] & (0x7f >> size);

	for (size_t i = 1; i < size; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[size] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	*ret = c;
	return size;
}

/* Control characters, and those by which a name looks like another one: what changes the direction of writing
 * (Unicode's Bidi_Control), what separates lines, what has no width. */
static bool can_be_shown(uint32_t c)
{
	static const struct {
		uint32_t first, last;
	} never[] = { { 0, 0x1f },        { 0x7f, 0x9f },     { 0xad, 0xad },      { 0x61c, 0x61c },
		      { 0x200b, 0x200f }, { 0x2028, 0x202e }, { 0x2060, 0x206f },  { 0xfe00, 0xfe0f },
		      { 0xfeff, 0xfeff }, { 0xfff9, 0xfffb }, { 0xe0000, 0xe0fff } };

	for (size_t i = 0; i < sizeof(never) / sizeof(*never); i++)
		if (c >= never[i].first && c <= never[i].last)
			return false;
	return (c & 0xfffe) != 0xfffe; /* no characters at all */
}

void proof_quote(struct strbuf *b, const char *s)
{
	size_t left = strlen(s), size;
	uint32_t c;

	strbuf_puts(b, "");
	for (; left; s += size, left -= size) {
		size = decode((const unsigned char *)s, left, &c);
		if (size && c != '\\' && can_be_shown(c)) {
			strbuf_add(b, s, size);
			continue;
		}
		size = size ? size : 1;
		for (size_t i = 0; i < size; i++)
			strbuf_printf(b, "\\%03o", (unsigned char)s[i]);
	}
}

/* How long the command of a terminal is that begins with ESC at `s` (ECMA-48, 5.3 to 5.6); one that does not end in
 * time is only its ESC, so that it hides nothing. `*ret_moves`: it puts the cursor elsewhere. */
static size_t command_length(const unsigned char *s, size_t len, bool *ret_moves)
{
	enum { longest = 256 };
	size_t at = 2;

	*ret_moves = false;
	if (len < 2)
		return 1;
	if (s[1] == '[') { /* CSI */
		while (at < len && at < longest && s[at] >= 0x20 && s[at] < 0x40)
			at++;
		if (at >= len || s[at] < 0x40 || s[at] > 0x7e)
			return 1;
		*ret_moves = strchr("ABEFHJdf", s[at]) != NULL;
		return at + 1;
	}
	if (s[1] && strchr("]PX^_", s[1])) { /* OSC, DCS, SOS, PM, APC: up to ST, or BEL as xterm takes it */
		for (; at < len && at < longest; at++)
			if (s[at] == '\a')
				return at + 1;
			else if (s[at] == ESCAPE)
				return at + 1 < len && s[at + 1] == '\\' ? at + 2 : 1;
		return 1;
	}
	at = 1;
	while (at < len && s[at] >= 0x20 && s[at] < 0x30)
		at++;
	return at < len && s[at] >= 0x30 && s[at] < 0x7f ? at + 1 : 1;
}

static void end_line(struct strbuf *b, size_t start)
{
	while (b->len > start && (b->data[b->len - 1] == ' ' || b->data[b->len - 1] == '\t'))
		b->len--;
	strbuf_puts(b, "\n");
}

void proof_lines(struct strbuf *b, const char *data, size_t len)
{
	const unsigned char *s = (const unsigned char *)data;
	size_t line = b->len, size; /* where its last line begins */
	uint32_t c;

	strbuf_puts(b, "");
	for (; len; s += size, len -= size) {
		bool breaks = *s == '\r'; /* the rest of the line is no answer to what stood there before */

		size = 1;
		if (*s == ESCAPE)
			size = command_length(s, len, &breaks);
		if (*s == '\n' || (breaks && b->len > line)) {
			end_line(b, line);
			line = b->len;
			while (*s == '\r' && size < len && s[size] == '\r')
				size++;
			size += *s == '\r' && size < len && s[size] == '\n';
		} else if (*s == '\t') {
			strbuf_puts(b, "\t");
		} else if (!breaks && *s != '\b' && size == 1) {
			size = decode(s, len, &c);
			if (size && can_be_shown(c))
				strbuf_add(b, s, size);
			else
				strbuf_puts(b, replacement);
			size = size ? size : 1;
		}
	}
}
