/* SHA256SUMS, which comes from a share: whatever the bytes, reading ends with a list or an error; a list names
 * only files of its own folder, and is written as it was read. */
#include "backup/set_private.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(free) char *text = xstrndup((const char *)data, size);
	struct set s = { .shown = (char *)"host/set" };
	_cleanup_(strbuf) struct strbuf written = { 0 };
	struct error e;

	if (sums_parse(text, s.shown, &s.sums, &e) < 0)
		return 0;
	sums_format(&s.sums, &written);
	if (!streq(written.data ? written.data : "", text))
		abort();
	for (size_t i = 0; i < s.sums.count; i++) {
		const char *name = s.sums.items[i].name;
		_cleanup_(free) const struct sum **chunks = NULL;
		size_t count;

		if (strchr(name, '/') || *name == '.' || streq(name, SUMS_FILE))
			abort();
		if (set_stream_chunks(&s, "root", "dump", &chunks, &count, &e) == 0 && count > s.sums.count)
			abort();
	}
	sums_free(&s.sums);
	return 0;
}
