#include "cmd/files_private.h"

#include "base/fs.h"
#include "machine/machine_conf.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <jansson.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void saved_list_free(struct saved_list *v)
{
	for (size_t i = 0; i < v->count; i++) {
		set_files_close(v->items[i].files);
		free(v->items[i].mountpoint);
		free(v->items[i].wanted);
	}
	free(v->items);
}
DEFINE_CLEANUP(saved_list, struct saved_list, saved_list_free)

static int open_all(struct cmd *c, struct recovery *r, struct saved_list *ret, struct error *e)
{
	_cleanup_(machine) struct machine m = { 0 };
	_cleanup_(free) char *text = NULL;
	int code = set_machine_conf(r->set, &text, &c->report, e);

	if (code == 0)
		code = machine_conf_parse("machine.conf", text, &m, e);
	for (size_t i = 0; code == 0 && i < m.count; i++) {
		const struct content *content = &m.devices[i]->content;
		struct saved v = { 0 };

		if (!content->stream || !content->method || !content->mountpoint)
			continue;
		code = set_files_open(r->set, content->stream, content->method, &v.files, e);
		if (code < 0)
			break;
		v.mountpoint = xstrdup(streq(content->mountpoint, "/") ? "" : content->mountpoint);
		v.listing = set_files_listing(v.files);
		v.wanted = xcalloc(v.listing->count + 1, sizeof(*v.wanted));
		ret->items = xgrow(ret->items, ret->count + 1, &ret->capacity, sizeof(*ret->items));
		ret->items[ret->count++] = v;
	}
	return code;
}

char *files_path(const struct saved *v, const struct listed *f)
{
	if (streq(f->path, "."))
		return xstrdup(*v->mountpoint ? v->mountpoint : "/");
	return xasprintf("%s%s", v->mountpoint, f->path + 1);
}

/* ---- choosing ---- */

bool files_match(const char *pattern, const char *path)
{
	if (!strchr(pattern, '/')) {
		const char *name = strrchr(path, '/') + 1;

		return streq(pattern, name) || fnmatch(pattern, name, 0) == 0;
	}
	return streq(pattern, path) || fnmatch(pattern, path, FNM_PATHNAME) == 0;
}

static bool choose(struct saved *v, const char *pattern, bool wanted)
{
	const char *above = NULL; /* the folder that matched last */
	bool any = false;

	for (size_t i = 0; i < v->listing->count; i++) {
		const struct listed *f = &v->listing->items[i];
		const char *rest = above ? str_after(f->path, above) : NULL;
		bool below = rest && *rest == '/';
		_cleanup_(free) char *path = files_path(v, f);

		if (!below && !files_match(pattern, path))
			continue;
		if (!below)
			above = S_ISDIR(f->mode) ? f->path : NULL;
		any = true;
		if (v->wanted[i] != wanted)
			v->chosen += wanted ? 1 : -(size_t)1;
		v->wanted[i] = wanted;
	}
	return any;
}

bool files_choose(struct saved_list *v, const char *pattern, bool wanted)
{
	bool any = false;

	for (size_t i = 0; i < v->count; i++)
		any |= choose(&v->items[i], pattern, wanted);
	return any;
}

static int choose_all(struct saved_list *v, char **patterns, struct error *e)
{
	static char everything[] = "*";
	static char *all[] = { everything, NULL };

	for (char **pattern = *patterns ? patterns : all; *pattern; pattern++)
		if (!files_choose(v, *pattern, true))
			return error_text(e, ENOENT, "%s: no such file in the set", *pattern);
	return 0;
}

/* ---- listing ---- */

void files_describe(const struct listed *f, const char *path, struct strbuf *b)
{
	static const char types[] = "?pc?d?b?-?l?s???"; /* by the type's bits */
	char when[32] = "";
	struct tm tm;

	if (localtime_r(&f->mtime.tv_sec, &tm))
		(void)strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
	strbuf_printf(b, "%c%04o %5u %5u %12llu %s ", types[f->mode >> 12 & 15], f->mode & 07777, f->uid,
		      f->gid, (unsigned long long)(S_ISREG(f->mode) ? f->size : 0), when);
	listing_quote(b, path);
	if (f->target) {
		strbuf_puts(b, " -> ");
		listing_quote(b, f->target);
	}
	strbuf_puts(b, "\n");
}

static void describe_json(const struct listed *f, const char *path, struct strbuf *b)
{
	_cleanup_(strbuf) struct strbuf quoted = { 0 };

	listing_quote(&quoted, path); /* no byte of which is more than ASCII */
	json_t *object = json_pack("{s:s, s:i, s:I, s:I, s:I, s:I}", "path", quoted.data, "mode",
				   (int)f->mode, "uid", (json_int_t)f->uid, "gid", (json_int_t)f->gid, "size",
				   (json_int_t)f->size, "time", (json_int_t)f->mtime.tv_sec);
	_cleanup_(free) char *text = json_dumps(object, JSON_COMPACT);

	json_decref(object);
	strbuf_printf(b, "%s\n", text ? text : "");
}

static int list(struct cmd *c, const struct saved_list *v)
{
	cmd_print_as_filter();
	for (size_t i = 0; i < v->count; i++)
		for (size_t line = 0; line < v->items[i].listing->count; line++) {
			const struct listed *f = &v->items[i].listing->items[line];
			_cleanup_(free) char *path = files_path(&v->items[i], f);
			_cleanup_(strbuf) struct strbuf b = { 0 };

			if (!v->items[i].wanted[line])
				continue;
			if (c->json)
				describe_json(f, path, &b);
			else
				files_describe(f, path, &b);
			(void)fputs(b.data, stdout); /* cmd_done() looks */
		}
	return cmd_done(c);
}

/* ---- restoring ---- */

static bool is_there(const char *root, const char *path)
{
	_cleanup_(free) char *full = xasprintf("%s/%s", root, path);
	struct stat st;

	return lstat(full, &st) == 0;
}

/* The folders that the chosen ones need, where they are missing. */
static void add_folders(struct saved *v, const char *root)
{
	for (size_t i = v->listing->count; i-- > 0;) {
		_cleanup_(free) char *above = xstrdup(v->listing->items[i].path);
		char *last = strrchr(above, '/');

		if (!v->wanted[i] || !last)
			continue;
		*last = '\0';
		const struct listed *f = listing_find(v->listing, above);

		if (f && !is_there(root, above))
			v->wanted[f - v->listing->items] = true;
	}
}

static int restore_one(struct cmd *c, struct saved *v, const char *into, struct error *e)
{
	_cleanup_(free) char *root =
		xasprintf("%s%s", into ? into : "", *v->mountpoint || into ? v->mountpoint : "/");
	int code = into ? mkdir_parents_at(AT_FDCWD, root, 0700, e) : 0;

	if (code < 0)
		return code;
	add_folders(v, root);
	return set_files_restore(v->files, v->wanted, root, &c->report, e);
}

int files_restore(struct cmd *c, struct saved_list *v, const struct files_options *o, struct error *e)
{
	size_t count = 0;
	int code = 0;

	for (size_t i = 0; i < v->count; i++)
		count += v->items[i].chosen;
	_cleanup_(free) char *question = xasprintf("%zu files of this machine will be replaced by those of "
						   "the set, or made. Type 'yes' to go on:",
						   count);

	if (!o->into && !o->yes && !cmd_consent(question, "yes"))
		return error_text(e, ECANCELED, "not confirmed, so nothing was written (--yes does not ask)");
	for (size_t i = 0; code == 0 && i < v->count; i++)
		if (v->items[i].chosen)
			code = restore_one(c, &v->items[i], o->into, e);
	if (code == 0)
		report_info(&c->report, "%zu files %s%s", count, o->into ? "are in " : "are back",
			    o->into ? o->into : "");
	return code;
}

int cmd_files(struct cmd *c, struct recovery *r, const struct files_options *o)
{
	_cleanup_(saved_list) struct saved_list v = { 0 };
	struct error e;

	bool browse = !o->list && !*o->patterns;

	if (browse && (!isatty(STDIN_FILENO) || c->json || o->into || o->yes))
		return cmd_usage(c, "--files: which PATH? (--list shows what there is)");
	if (recovery_open(r, c, &e) < 0 || recovery_unlock(r, c, &e) < 0)
		return cmd_failed(c, &e);
	if (!r->set)
		return cmd_usage(c, "--files needs a TARGET");
	if (open_all(c, r, &v, &e) < 0)
		return cmd_failed(c, &e);
	if (browse)
		return files_browse(c, &v);
	if (choose_all(&v, o->patterns, &e) < 0)
		return cmd_failed(c, &e);
	if (o->list)
		return list(c, &v);
	return files_restore(c, &v, o, &e) < 0 ? cmd_failed(c, &e) : cmd_done(c);
}
