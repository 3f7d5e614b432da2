#include "image/budget.h"

#include "image/explain.h"

#include <errno.h>

/* How many of each kind are named. */
static const size_t named[BY_COUNT] = { [BY_PROFILE] = 3, [BY_TOOL] = 3, [BY_MODULE] = 2 };

/* "profile minimal 61 %, profile smb 12 %" */
static int put_most(struct image_draft *d, enum image_by by, struct strbuf *b, struct error *e)
{
	_cleanup_(image_sums) struct image_sums sums = { 0 };
	int r = image_sums(d, by, &sums, e);

	for (size_t i = 0, n = 0; i < sums.count && n < named[by]; i++) {
		if (!sums.list[i].is_one)
			continue;
		strbuf_printf(b, "%s%s %s %.0f %%", b->len ? ", " : "", image_by_names[by], sums.list[i].name,
			      sums.list[i].share * 100);
		n++;
	}
	return r;
}

int budget_check(struct image_draft *d, struct error *e)
{
	const struct recovery_conf *c = d->request->conf;
	_cleanup_(strbuf) struct strbuf most = { 0 };
	char size[SIZE_TEXT_MAX], limit[SIZE_TEXT_MAX];
	int r = 0;

	if (!c->max_initrd || d->result.initrd_size <= c->max_initrd)
		return 0;
	for (enum image_by by = 0; r == 0 && by < BY_COUNT; by++)
		r = put_most(d, by, &most, e);
	if (r < 0)
		return r;
	return error_text(
		e, EFBIG,
		"make the image: its initrd has %s, more than max-initrd = %s in %s allows; most of it: %s; "
		"'lifeboat list' has the rest: drop what can go, or raise max-initrd",
		format_size(d->result.initrd_size, size), format_size(c->max_initrd, limit), c->path,
		most.data ? most.data : "nothing in particular");
}
