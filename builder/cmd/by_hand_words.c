#include "cmd/by_hand_page.h"

#include "backup/age.h"

#include <ctype.h>

void page_quote(struct strbuf *b, const char *s)
{
	if (s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./,=:+@")] == '\0' &&
	    *s) {
		strbuf_puts(b, s);
		return;
	}
	strbuf_puts(b, "'");
	for (; *s; s++)
		strbuf_printf(b, *s == '\'' ? "'\\''" : "%c", *s);
	strbuf_puts(b, "'");
}

void page_option(struct strbuf *b, const char *flag, const char *value)
{
	if (!value)
		return;
	strbuf_printf(b, " %s ", flag);
	page_quote(b, value);
}

/* Text for a comment: on one line. */
void page_remark(struct strbuf *b, const char *s)
{
	_cleanup_(free) char *copy = xstrdup(s ? s : "");

	strbuf_puts(b, str_printable(copy));
}

/* A disk's name as a shell variable. The caller frees. */
char *page_variable(const struct device *disk)
{
	char *name = xstrdup(disk->name);

	for (char *p = name; *p; p++)
		if (!isalnum((unsigned char)*p))
			*p = '_';
	return name;
}

/* "$sda" or "${sda_part}1"; a layer has its node by its name, and so have an array's partitions. */
void page_node(struct strbuf *b, const struct device *d)
{
	if (d->kind == DEVICE_SUBVOLUME) {
		page_node(b, d->parent);
		return;
	}
	if (d->kind == DEVICE_BTRFS) {
		page_node(b, device_first_below(d));
		return;
	}
	if (!device_is_plain(d)) {
		_cleanup_(free) char *layer = device_node(d);

		page_quote(b, layer);
		return;
	}
	_cleanup_(free) char *name = page_variable(d->parent ? d->parent : d);

	if (d->parent)
		strbuf_printf(b, "\"${%s_part}%u\"", name, d->number);
	else
		strbuf_printf(b, "\"$%s\"", name);
}

/* A word of a command that stands for a device, as page_node() writes it; no other word begins so. */
char *page_node_word(const void *user, const struct device *d)
{
	_cleanup_(strbuf) struct strbuf b = { 0 };

	(void)user; /* the names are the shell's */
	strbuf_puts(&b, "\n");
	page_node(&b, d);
	return TAKE_PTR(b.data);
}

void page_commands(struct strbuf *b, const struct commands *all)
{
	for (size_t i = 0; i < all->count; i++) {
		for (size_t k = 0; k < all->items[i].count; k++) {
			const char *word = all->items[i].items[k];

			strbuf_puts(b, k ? " " : "");
			if (*word == '\n')
				strbuf_puts(b, word + 1);
			else
				page_quote(b, word);
		}
		strbuf_puts(b, "\n");
	}
}

bool page_is_sealed(const struct strlist *files, const char *set, const char *name, const char *method)
{
	_cleanup_(free) char *first = xasprintf("%s%s.%s.zst.000" AGE_SUFFIX, set, name, method);

	return strlist_has(files, first);
}

/* The plain stream, on stdout. */
void page_stream(struct strbuf *b, const struct strlist *files, const char *set, const char *name,
		 const char *method)
{
	bool sealed = page_is_sealed(files, set, name, method);

	strbuf_printf(b, "%s %s%s.%s.zst.*%s | zstd -d", sealed ? "plain" : "cat", set, name, method,
		      sealed ? AGE_SUFFIX : "");
}
