/* lifeboat recover --files without a PATH: a person looks around in the set, line by line, so that it works on any
 * console. */
#include "cmd/files_private.h"

#include <stdio.h>
#include <sys/stat.h>

enum { shown_max = 200 }; /* lines of one answer: more run off the screen */

struct browser {
	struct cmd *c;
	struct saved_list *v;
	char *at; /* the folder, a path of the machine */
	bool over;
};

/* The path that is meant from the present folder, without "." and "..". The caller frees. */
static char *path_from(const struct browser *b, const char *text)
{
	_cleanup_(free) char *whole = *text == '/' ? xstrdup(text) : xasprintf("%s/%s", b->at, text);
	_cleanup_(strlist) struct strlist parts = { 0 };
	_cleanup_(strbuf) struct strbuf path = { 0 };
	char *rest = whole, *part;

	while ((part = strsep(&rest, "/"))) {
		if (streq(part, "..") && parts.count)
			free(parts.items[--parts.count]);
		else if (*part && !streq(part, ".") && !streq(part, ".."))
			strlist_add(&parts, part);
	}
	for (size_t i = 0; i < parts.count; i++)
		strbuf_printf(&path, "/%s", parts.items[i]);
	return path.len ? TAKE_PTR(path.data) : xstrdup("/");
}

/* The name of what lies in the folder itself, or NULL. */
static const char *name_in(const char *folder, const char *path)
{
	const char *rest = streq(folder, "/") ? path : str_after(path, folder);

	return rest && *rest == '/' && rest[1] && !strchr(rest + 1, '/') ? rest + 1 : NULL;
}

static void say(const char *text)
{
	(void)fputs(text, stdout); /* files_browse() looks */
}

/* ---- commands ---- */

static bool is_folder(const struct browser *b, const char *path)
{
	for (size_t i = 0; i < b->v->count; i++)
		for (size_t k = 0; k < b->v->items[i].listing->count; k++) {
			const struct listed *f = &b->v->items[i].listing->items[k];

			if (!S_ISDIR(f->mode))
				continue;
			_cleanup_(free) char *one = files_path(&b->v->items[i], f);

			if (streq(one, path))
				return true;
		}
	return false;
}

static void cd(struct browser *b, const char *text)
{
	_cleanup_(free) char *path = path_from(b, text ? text : "/");

	if (!is_folder(b, path)) {
		printf("%s: no such folder in the set\n", text ? text : "/");
		return;
	}
	free(b->at);
	b->at = TAKE_PTR(path);
}

/* Calls `show` for what it takes until there is enough. */
static void show_some(const struct browser *b, const void *user,
		      const char *(*take)(const void *user, const struct saved *v, size_t line,
					  const char *path))
{
	size_t count = 0;

	for (size_t i = 0; i < b->v->count; i++)
		for (size_t k = 0; k < b->v->items[i].listing->count; k++) {
			const struct saved *v = &b->v->items[i];
			_cleanup_(free) char *path = files_path(v, &v->listing->items[k]);
			const char *name = take(user, v, k, path);
			_cleanup_(strbuf) struct strbuf line = { 0 };

			if (!name || count++ >= shown_max)
				continue;
			files_describe(&v->listing->items[k], name, &line);
			say(v->wanted[k] ? "* " : "  ");
			say(line.data);
		}
	if (count > shown_max)
		printf("... and %zu more\n", count - shown_max);
	if (!count)
		say("nothing\n");
}

static const char *take_entry(const void *user, const struct saved *v, size_t line, const char *path)
{
	(void)v, (void)line; /* the path tells */
	return name_in(user, path);
}

static void ls(struct browser *b, const char *text)
{
	_cleanup_(free) char *path = path_from(b, text ? text : ".");

	show_some(b, path, take_entry);
}

struct search {
	const char *pattern, *folder;
};

static const char *take_found(const void *user, const struct saved *v, size_t line, const char *path)
{
	const struct search *s = user;
	const char *rest = streq(s->folder, "/") ? path : str_after(path, s->folder);

	(void)v, (void)line; /* the path tells */
	return rest && *rest == '/' && rest[1] && files_match(s->pattern, path) ? path : NULL;
}

static void find(struct browser *b, const char *text)
{
	const struct search s = { .pattern = text, .folder = b->at };

	if (!text || strchr(text, '/'))
		say("find NAME: a name or a pattern, below the present folder\n");
	else
		show_some(b, &s, take_found);
}

static const char *take_wanted(const void *user, const struct saved *v, size_t line, const char *path)
{
	(void)user; /* of all folders */
	return v->wanted[line] ? path : NULL;
}

static void marks(struct browser *b, const char *text)
{
	(void)text; /* none is needed */
	show_some(b, NULL, take_wanted);
}

static size_t count_chosen(const struct browser *b)
{
	size_t count = 0;

	for (size_t i = 0; i < b->v->count; i++)
		count += b->v->items[i].chosen;
	return count;
}

static void change(struct browser *b, const char *text, bool wanted)
{
	_cleanup_(free) char *path = path_from(b, text ? text : ".");

	if (!files_choose(b->v, path, wanted))
		printf("%s: no such file in the set\n", text ? text : path);
	printf("%zu marked\n", count_chosen(b));
}

static void mark(struct browser *b, const char *text)
{
	change(b, text, true);
}

static void unmark(struct browser *b, const char *text)
{
	change(b, text, false);
}

static void restore(struct browser *b, const char *text)
{
	const struct files_options o = { .into = text };
	struct error e;

	if (!count_chosen(b))
		say("mark something first\n");
	else if (files_restore(b->c, b->v, &o, &e) < 0)
		report_error(&b->c->report, &e);
	else
		say("restored\n");
}

static void quit(struct browser *b, const char *text)
{
	(void)text; /* none is needed */
	b->over = true;
}

static void help(struct browser *b, const char *text);

static const struct {
	const char *name, *summary;
	void (*run)(struct browser *b, const char *text);
} commands[] = {
	{ "ls", "ls [FOLDER]       what is there; * is marked", ls },
	{ "cd", "cd [FOLDER]       go there", cd },
	{ "find", "find NAME         search below this folder; NAME may be a pattern", find },
	{ "mark", "mark PATH         choose a file, or a folder with all that is in it; patterns too", mark },
	{ "unmark", "unmark PATH       the other way round", unmark },
	{ "marks", "marks             what is marked", marks },
	{ "restore", "restore [FOLDER]  what is marked, below FOLDER, or where it was on the machine",
	  restore },
	{ "help", "help              these commands; in a name with blanks, write ? for each", help },
	{ "quit", "quit", quit },
};

static void help(struct browser *b, const char *text)
{
	(void)b, (void)text; /* always the same */
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		printf("%s\n", commands[i].summary);
}

/* A name of a command may be cut short. */
static void run(struct browser *b, char *line)
{
	_cleanup_(strlist) struct strlist words = { 0 };

	strlist_add_words(&words, line);
	if (!words.count)
		return;
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (streq(commands[i].name, words.items[0])) {
			if (words.count > 2)
				say("one word behind it at most; ? stands for a blank\n");
			else
				commands[i].run(b, words.count > 1 ? words.items[1] : NULL);
			return;
		}
	printf("%s: no such command; 'help' shows them\n", words.items[0]);
}

int files_browse(struct cmd *c, struct saved_list *v)
{
	struct browser b = { .c = c, .v = v, .at = xstrdup("/") };
	_cleanup_(free) char *line = NULL;
	size_t capacity = 0;

	say("The files of the backup. Nothing is written before 'restore'.\n");
	help(&b, NULL);
	while (!b.over) {
		printf("%s> ", b.at);
		(void)fflush(stdout); /* looked at in the end */
		if (getline(&line, &capacity, stdin) < 0)
			break;
		run(&b, line);
	}
	free(b.at);
	return cmd_done(c);
}
