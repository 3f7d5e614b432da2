#include "cmd/commands.h"
#include "cmd/draft_arg.h"

#include "image/explain.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <sys/stat.h>

enum { shown_chains = 20 }; /* for each file, unless -v was given */

static void print_chain(const struct chain *chain)
{
	for (size_t i = 0; i < chain->count; i++)
		(void)printf("%s%s", i ? " → " : "  ", chain->steps[i]); /* cmd_done() looks */
	(void)printf("\n");
}

static void print_text(const struct image_why *w, bool all)
{
	char size[SIZE_TEXT_MAX];
	size_t shown = all || w->chains.count <= shown_chains ? w->chains.count : shown_chains;

	(void)printf("/%s", w->entry->path);
	if (S_ISLNK(w->entry->mode))
		(void)printf(" -> %s", w->entry->data);
	if (!w->file)
		(void)printf(", which is not in the image\n");
	else if (S_ISDIR(w->file->mode))
		(void)printf(", a folder\n");
	else
		(void)printf(", %s\n", format_size(w->file->size, size));
	for (size_t i = 0; i < shown; i++)
		print_chain(&w->chains.list[i]);
	if (shown < w->chains.count)
		(void)printf("  … and %s%zu more: -v shows them\n", w->chains.more ? "at least " : "",
			     w->chains.count - shown);
	else if (w->chains.more)
		(void)printf("  … and more\n");
}

static json_t *why_json(const struct image_why *w)
{
	json_t *chains = json_array();

	for (size_t i = 0; i < w->chains.count; i++) {
		json_t *steps = json_array();

		for (size_t n = 0; n < w->chains.list[i].count; n++)
			(void)json_array_append_new(steps,
						    json_string(w->chains.list[i].steps[n])); /* memory */
		(void)json_array_append_new(chains, steps); /* only memory can lack */
	}
	_cleanup_(free) char *path = xasprintf("/%s", w->entry->path);
	_cleanup_(free) char *file = w->file ? xasprintf("/%s", w->file->path) : NULL;

	return json_pack("{s:s, s:s?, s:I, s:o, s:b}", "path", path, "file", file, "size",
			 (json_int_t)(w->file ? w->file->size : 0), "chains", chains, "more",
			 (int)w->chains.more);
}

/* Fills `e` with what is known instead. */
static int find(const struct image_draft *d, const char *what, struct strlist *found, struct error *e)
{
	_cleanup_(strlist) struct strlist near = { 0 };

	image_find(d, what, found);
	if (found->count == 1)
		return 0;
	if (found->count > 1) {
		_cleanup_(free) char *all = strlist_join(found, ", /");

		return error_text(e, EEXIST, "%s is the name of %zu files in the image; which one: /%s", what,
				  found->count, all);
	}
	image_near(d, what, &near);
	_cleanup_(free) char *instead = strlist_join(&near, "; ");

	return error_text(e, ENOENT, "%s is not in the image%s%s", what, near.count ? "; " : "", instead);
}

static int explain(struct cmd *c, const char *kernel, char *const *words)
{
	_cleanup_(draft_arg) struct draft_arg a = { 0 };
	struct error e;
	int exit_code = EXIT_DONE;

	if (draft_arg_make(c, kernel, &a, &e) < 0)
		return cmd_failed(c, &e);
	cmd_print_as_filter();
	json_t *answers = json_array();

	for (; *words; words++) {
		_cleanup_(strlist) struct strlist found = { 0 };
		_cleanup_(image_why) struct image_why why = { 0 };

		if (find(a.draft, *words, &found, &e) < 0) {
			exit_code = cmd_failed(c, &e);
			continue;
		}
		image_why(a.draft, found.items[0], &why);
		if (c->json)
			(void)json_array_append_new(answers, why_json(&why)); /* only memory can lack */
		else
			print_text(&why, c->report.verbosity == VERBOSITY_VERBOSE);
	}
	if (c->json) {
		(void)json_dumpf(answers, stdout, JSON_INDENT(2)); /* cmd_done() looks */
		(void)printf("\n");
	}
	json_decref(answers);
	return cmd_done(c) == EXIT_DONE ? exit_code : EXIT_FAILED;
}

int cmd_why(int argc, char *argv[])
{
	static const struct option options[] = { { "kernel", required_argument, NULL, 'k' },
						 CMD_OPTIONS_LONG };
	_cleanup_(cmd) struct cmd c;
	const char *kernel = NULL;
	int option, exit_code;

	cmd_begin(&c, argv[0]);
	while ((option = getopt_long(argc, argv, "k:" CMD_OPTIONS_SHORT, options, NULL)) != -1)
		switch (option) {
		case 'k':
			kernel = optarg;
			break;
		default:
			if (!cmd_option(&c, option, &exit_code))
				return exit_code;
		}
	if (optind == argc)
		return cmd_usage(&c, "which file? PATH is missing");
	return explain(&c, kernel, argv + optind);
}
