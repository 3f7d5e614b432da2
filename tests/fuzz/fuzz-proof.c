/* What becomes text in a proof: names can be had back, a console's text is the same when it is read twice, and
 * both are what JSON takes, without a control character. */
#include "guest/proof_text.h"

#include <jansson.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* `allowed`: control characters that may stand in it. */
static void check_text(const struct strbuf *b, const char *allowed)
{
	json_t *json = json_stringn(b->data, b->len);

	if (!json || strlen(b->data) != b->len)
		abort();
	json_decref(json);
	for (size_t i = 0; i < b->len; i++)
		if (((unsigned char)b->data[i] < ' ' && !strchr(allowed, b->data[i])) || b->data[i] == 0x7f)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(free) char *name = xstrndup((const char *)data, size);
	_cleanup_(strbuf) struct strbuf quoted = { 0 }, lines = { 0 }, again = { 0 };

	proof_lines(&lines, (const char *)data, size);
	check_text(&lines, "\n\t");
	proof_lines(&again, lines.data, lines.len);
	if (!streq(again.data, lines.data))
		abort();
	proof_quote(&quoted, name);
	check_text(&quoted, "");
	if (!str_unquote(quoted.data) || !streq(quoted.data, name))
		abort();
	(void)str_unquote(name); /* whatever it says: nothing is written past its end */
	return 0;
}
