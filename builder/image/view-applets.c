#include "image/view.h"

#include <errno.h>

/* busybox keeps the names of its commands as one table of NUL-terminated strings in ascending order (its
 * include/applet_tables.h, written by applets/applet_tables.c). The table has no label: it is the longest run
 * of such strings in the file, and longer than any that comes about by chance. */
enum { least_applets = 20 };

/* What names of commands consist of. */
static const bool in_names[256] = {
	['0' ... '9'] = true, ['a' ... 'z'] = true, ['['] = true, ['_'] = true, ['-'] = true, ['.'] = true,
};

/* The end of the name at `p`, its NUL; NULL when there is no name. */
static const char *name_end(const char *p, const char *end)
{
	const char *start = p;

	while (p < end && in_names[(unsigned char)*p])
		p++;
	return p > start && p < end && !*p ? p : NULL;
}

/* Where the run of ascending names that begins at `p` ends; `*ret_count` names. */
static const char *run_end(const char *p, const char *end, size_t *ret_count)
{
	const char *last = NULL, *after;

	for (*ret_count = 0; (after = name_end(p, end)) && (!last || strcmp(last, p) < 0); ++*ret_count) {
		last = p;
		p = after + 1;
	}
	return p;
}

/* The longest run between two bytes that are in none. */
static void find_longest(struct view *v, const char *p, const char *end, size_t *most)
{
	size_t count;

	while (p < end) {
		const char *after = run_end(p, end, &count);

		if (count > *most) {
			v->applets = p;
			v->applets_end = after;
			*most = count;
		}
		p = after > p ? after : p + 1;
	}
}

static bool may_be_in_run(char c)
{
	return !c || in_names[(unsigned char)c];
}

/* A name has one byte and its NUL at least, so a run that counts has a byte at one of these steps. */
static void find_table(struct view *v)
{
	enum { step = 2 * least_applets };
	const char *end = v->busybox + v->busybox_len;
	size_t most = least_applets;

	for (const char *p = v->busybox; p < end; p += (size_t)(end - p) < step ? end - p : step) {
		const char *from = p;

		if (!may_be_in_run(*p))
			continue;
		while (from > v->busybox && may_be_in_run(from[-1]))
			from--;
		while (p < end && may_be_in_run(*p))
			p++;
		find_longest(v, from, p, &most);
	}
}

int view_applet(struct view *v, const char *name, struct error *e)
{
	if (!v->busybox) {
		const struct entry *entry = view_find_tool(v, "busybox");
		int r = entry ? view_read(entry, &v->busybox, &v->busybox_len, e)
			      : error_text(e, ENOENT, "tool busybox, which has the command %s, is not in it",
					   name);

		if (r < 0)
			return r;
		find_table(v);
	}
	for (const char *p = v->applets; p && p < v->applets_end; p += strlen(p) + 1)
		if (streq(p, name))
			return 0;
	return error_text(e, ENOENT, "its busybox has no command %s", name);
}
