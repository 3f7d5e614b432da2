/* TARGET: whatever the text, it becomes its parts or an error; what is shown of the parts holds no control
 * characters and no password, and no part can become an option of a mount program. */
#include "backup/target_kind.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *s)
{
	for (; s && *s; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(free) char *text = xstrndup((const char *)data, size);
	_cleanup_(target_url) struct target_url u = { 0 };
	struct error e;

	if (target_url_parse(text, &u, &e) < 0)
		return 0;
	_cleanup_(free) char *shown = target_url_show(&u);

	check_text(shown);
	if (u.host && (*u.host == '-' || strpbrk(u.host, ",/@ ")))
		abort();
	if (u.user && strpbrk(u.user, ",:"))
		abort();
	for (const char *p = u.path; *p; p++)
		if (strncmp(p, "/../", 4) == 0)
			abort();
	return 0;
}
