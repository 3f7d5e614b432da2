#include "cmd/commands.h"
#include "cmd/draft_arg.h"
#include "cmd/sums.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

enum { OPTION_BY = CMD_FIRST_OWN, OPTION_PROMISES, column_max = 64 };

/* The columns of the terminal; SIZE_MAX where stdout is none. */
static size_t width(void)
{
	struct winsize size;

	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : SIZE_MAX;
}

/* How many bytes of the text fill at most `columns`: every character of UTF-8 is taken to be one wide. */
static size_t cut(const char *text, size_t columns)
{
	size_t n = 0;

	for (; text[n] && columns > 0; columns--)
		for (n++; ((unsigned char)text[n] & 0xc0) == 0x80;)
			n++;
	return n;
}

/* --- every file --- */

/* Paths are shown whole; on a terminal the reasons get what is left of the line. */
static void print_items(const struct image_items *items)
{
	const size_t columns = width(), figures = 22;
	size_t path_width = 4;

	for (size_t i = 0; i < items->count; i++) {
		size_t n = strlen(items->list[i].entry->path) + 1;

		path_width = n > path_width && n <= column_max && n <= columns / 2 ? n : path_width;
	}
	(void)printf("%10s  %6s  %-*s  %s\n", "SIZE", "SHARE", (int)path_width, "FILE", "FIRST REASON");
	for (size_t i = 0; i < items->count; i++) {
		const struct image_item *item = &items->list[i];
		_cleanup_(free) char *reason = reason_text(item->entry->reason);
		size_t n = strlen(item->entry->path) + 1,
		       before = figures + (n > path_width ? n : path_width);
		char size[SIZE_TEXT_MAX];

		(void)printf("%10s  %4.1f %%  /%-*s  %.*s\n", format_size(item->entry->size, size),
			     item->share * 100, (int)path_width - 1, item->entry->path,
			     (int)cut(reason, columns > before ? columns - before : 0), reason);
	}
}

static json_t *steps_json(const struct reason *reason)
{
	json_t *steps = json_array();

	for (; reason; reason = reason->because)
		(void)json_array_insert_new(steps, 0, json_string(reason->text)); /* only memory can lack */
	return steps;
}

static json_t *items_json(const struct image_items *items)
{
	json_t *all = json_array();

	for (size_t i = 0; i < items->count; i++) {
		const struct entry *entry = items->list[i].entry;
		_cleanup_(free) char *path = xasprintf("/%s", entry->path);
		const char *type = S_ISREG(entry->mode) ? "file" : S_ISLNK(entry->mode) ? "link" : "device";

		/* A name that is not UTF-8 has no place in JSON; it cannot make the list fail. */
		(void)json_array_append_new(all, json_pack("{s:s, s:s, s:I, s:f, s:o}", "path", path, "type",
							   type, "size", (json_int_t)entry->size, "share",
							   items->list[i].share, "reason",
							   steps_json(entry->reason)));
	}
	return all;
}

/* --- sums --- */

static json_t *sums_json(const struct image_sums *sums, const char *kind)
{
	json_t *all = json_array();

	for (size_t i = 0; i < sums->count; i++) {
		const struct image_sum *s = &sums->list[i];
		json_t *o = json_pack("{s:s?, s:I, s:I, s:f}", s->is_one ? kind : "other", s->name, "files",
				      (json_int_t)s->files, "size", (json_int_t)s->size, "share", s->share);

		if (s->is_one) {
			json_t *alone = json_pack("{s:I, s:I, s:f}", "files", (json_int_t)s->alone_files,
						  "size", (json_int_t)s->alone_size, "share", s->alone_share);

			(void)json_object_set_new(o, "alone", alone); /* only memory can lack */
		}
		(void)json_array_append_new(all, o); /* the same */
	}
	return all;
}

/* --- promises --- */

static void print_promises(const struct image_promises *promises)
{
	size_t name_width = strlen("PROMISE"), profile_width = strlen("PROFILE"), columns = width();

	for (size_t i = 0; i < promises->count; i++) {
		size_t name = strlen(promises->list[i].name), profile = strlen(promises->list[i].profile);

		name_width = name > name_width ? name : name_width;
		profile_width = profile > profile_width ? profile : profile_width;
	}
	size_t left = columns > name_width + profile_width + 20 ? columns - name_width - profile_width - 4
								: SIZE_MAX;

	(void)printf("%-*s  %-*s  NEEDS\n", (int)name_width, "PROMISE", (int)profile_width, "PROFILE");
	for (size_t i = 0; i < promises->count; i++) {
		const struct image_promise *p = &promises->list[i];
		_cleanup_(strbuf) struct strbuf needs = { 0 };

		strbuf_puts(&needs, p->seen ? "" : "(modules not looked at) ");
		for (size_t n = 0; n < p->count; n++)
			strbuf_printf(&needs, "%s%s", n ? " " : "", p->needs[n].what);
		(void)printf("%-*s  %-*s  %.*s\n", (int)name_width, p->name, (int)profile_width, p->profile,
			     (int)cut(needs.data, left), needs.data);
	}
}

static json_t *promises_json(const struct image_promises *promises)
{
	json_t *all = json_array();

	for (size_t i = 0; i < promises->count; i++) {
		const struct image_promise *p = &promises->list[i];
		json_t *needs = json_object();

		for (size_t n = 0; n < p->count; n++) {
			if (!json_object_get(needs, p->needs[n].kind))
				(void)json_object_set_new(needs, p->needs[n].kind,
							  json_array()); /* only memory can lack */
			(void)json_array_append_new(json_object_get(needs, p->needs[n].kind),
						    json_string(p->needs[n].what)); /* the same */
		}
		(void)json_array_append_new(all,
					    json_pack("{s:s, s:s, s:b, s:o}", "promise", p->name, "profile",
						      p->profile, "seen", p->seen, "needs", needs));
	}
	return all;
}

/* --- the command --- */

static int print_json(struct cmd *c, json_t *all)
{
	(void)json_dumpf(all, stdout, JSON_INDENT(2)); /* cmd_done() looks */
	(void)printf("\n");
	json_decref(all);
	return cmd_done(c);
}

static int list_items(struct cmd *c, struct image_draft *d)
{
	_cleanup_(image_items) struct image_items items = { 0 };
	struct error e;

	if (image_items(d, &items, &e) < 0)
		return cmd_failed(c, &e);
	if (c->json)
		return print_json(c, items_json(&items));
	print_items(&items);
	return cmd_done(c);
}

static int list_sums(struct cmd *c, struct image_draft *d, enum image_by by)
{
	_cleanup_(image_sums) struct image_sums sums = { 0 };
	struct error e;

	if (image_sums(d, by, &sums, &e) < 0)
		return cmd_failed(c, &e);
	if (c->json)
		return print_json(c, sums_json(&sums, image_by_names[by]));
	sums_print(&sums, image_by_names[by]);
	return cmd_done(c);
}

static int list_promises(struct cmd *c, const struct image_draft *d)
{
	_cleanup_(image_promises) struct image_promises promises = { 0 };

	image_promises(d, &promises);
	if (c->json)
		return print_json(c, promises_json(&promises));
	print_promises(&promises);
	return cmd_done(c);
}

/* BY_COUNT when there is none of that name. */
static enum image_by parse_by(const char *name)
{
	enum image_by by = 0;

	while (by < BY_COUNT && !streq(image_by_names[by], name))
		by++;
	return by;
}

int cmd_list(int argc, char *argv[])
{
	static const struct option options[] = { { "kernel", required_argument, NULL, 'k' },
						 { "by", required_argument, NULL, OPTION_BY },
						 { "promises", no_argument, NULL, OPTION_PROMISES },
						 CMD_OPTIONS_LONG };
	_cleanup_(cmd) struct cmd c;
	_cleanup_(draft_arg) struct draft_arg a = { 0 };
	const char *kernel = NULL, *by = NULL;
	bool promises = false;
	int option, exit_code;
	struct error e;

	cmd_begin(&c, argv[0]);
	while ((option = getopt_long(argc, argv, "k:" CMD_OPTIONS_SHORT, options, NULL)) != -1)
		switch (option) {
		case 'k':
			kernel = optarg;
			break;
		case OPTION_BY:
			by = optarg;
			break;
		case OPTION_PROMISES:
			promises = true;
			break;
		default:
			if (!cmd_option(&c, option, &exit_code))
				return exit_code;
		}
	if (optind < argc)
		return cmd_usage(&c, "unexpected argument '%s'", argv[optind]);
	if (by && parse_by(by) == BY_COUNT)
		return cmd_usage(&c, "--by '%s' is not known; expected profile, tool or module", by);
	if (by && promises)
		return cmd_usage(&c, "--by and --promises exclude each other");
	if (draft_arg_make(&c, kernel, &a, &e) < 0)
		return cmd_failed(&c, &e);
	cmd_print_as_filter();
	if (promises)
		return list_promises(&c, a.draft);
	return by ? list_sums(&c, a.draft, parse_by(by)) : list_items(&c, a.draft);
}
