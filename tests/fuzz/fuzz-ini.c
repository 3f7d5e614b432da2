/* The configuration grammar: whatever the bytes, parsing ends with a value or an error, and what
 * was parsed can be written and read again to the same. */
#include "conf/ini.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(free) char *text = xstrndup((const char *)data, size);
	_cleanup_(ini) struct ini ini = INI_NONE, again = INI_NONE;
	_cleanup_(strbuf) struct strbuf written = { 0 }, rewritten = { 0 };
	struct error e;

	if (ini_parse_text("fuzz", text, &ini, &e) < 0 || ini_format(&ini, &written, &e) < 0 || !written.len)
		return 0;
	if (ini_parse_text("again", written.data, &again, &e) < 0)
		abort(); /* wrote what it cannot read */
	if (ini_format(&again, &rewritten, &e) < 0 || !streq(written.data, rewritten.data))
		abort(); /* the second reading differs */
	return 0;
}
