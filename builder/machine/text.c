#include "machine/text.h"

#include <ctype.h>
#include <errno.h>

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

char *text_escape(const char *s)
{
	struct strbuf b = { 0 };
	size_t n = strlen(s);

	strbuf_puts(&b, "");
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];
		bool outer_space = c == ' ' && (i == 0 || i + 1 == n);

		if (c < ' ' || c == 0x7f || c == '\\' || c == '#' || outer_space)
			strbuf_printf(&b, "\\x%02x", c);
		else
			strbuf_add(&b, s + i, 1);
	}
	return b.data;
}

int text_unescape(const char *s, char **ret)
{
	_cleanup_(strbuf) struct strbuf b = { 0 };

	strbuf_puts(&b, "");
	for (; *s; s++) {
		if (*s != '\\') {
			strbuf_add(&b, s, 1);
			continue;
		}
		int high = s[1] == 'x' ? hex_value(s[2]) : -1, low = high >= 0 ? hex_value(s[3]) : -1;

		if (high < 0 || low < 0)
			return -EINVAL;
		char c = (char)(high * 16 + low);

		if (!c)
			return -EINVAL;
		strbuf_add(&b, &c, 1);
		s += 3;
	}
	*ret = TAKE_PTR(b.data);
	return 0;
}

int check_uuid(const char *value)
{
	static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
	size_t i = 0;

	for (; form[i] && value[i]; i++)
		if (form[i] == 'x' ? !isxdigit((unsigned char)value[i]) : value[i] != '-')
			return -EINVAL;
	return form[i] || value[i] ? -EINVAL : 0;
}

int check_number(const char *value)
{
	uint64_t ignored;

	return parse_u64(value, &ignored);
}

int check_each_word(const char *value, bool (*is_known)(const char *word))
{
	_cleanup_(strlist) struct strlist words = { 0 };

	strlist_add_words(&words, value);
	for (size_t i = 0; i < words.count; i++)
		if (!is_known(words.items[i]))
			return -EINVAL;
	return 0;
}
