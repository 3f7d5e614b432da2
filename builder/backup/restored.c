#include "backup/restored.h"

#include "backup/listing_stream.h"
#include "backup/set_private.h"
#include "backup/stream_thread.h"
#include "backup/tree_compare.h"
#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

struct checking {
	int rootfd; /* restored_check_files() */
	struct strlist changed; /* as they stand in NAME.changed: "./PATH", quoted; sorted */
	struct strlist extra; /* paths */
	size_t count;
	char *first; /* difference */
};

static void checking_end(struct checking *c)
{
	strlist_free(&c->changed);
	strlist_free(&c->extra);
	free(c->first);
}
DEFINE_CLEANUP(checking, struct checking, checking_end)

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool has_changed(const struct checking *c, const char *path)
{
	_cleanup_(strbuf) struct strbuf quoted = { 0 };

	listing_quote(&quoted, streq(path, ".") ? "./." : path);
	const char *key = quoted.data;

	return c->changed.count &&
	       bsearch(&key, c->changed.items, c->changed.count, sizeof(*c->changed.items), by_text);
}

static const char *excuse(void *user, const struct tree_difference *d)
{
	return has_changed(user, d->path) ? "it changed while it was saved" : NULL;
}

static void differs(void *user, const struct tree_difference *d, const char *reason)
{
	struct checking *c = user;

	if (reason)
		return;
	if (streq(d->attribute, "presence") && !d->expected) {
		strlist_add(&c->extra, d->path);
		return;
	}
	c->count++;
	if (!c->first)
		c->first = xasprintf("%s: its %s is %s, listed is %s", d->path, d->attribute,
				     d->found ? d->found : "missing", d->expected ? d->expected : "none");
}

static int read_changed(struct set *s, const char *name, struct checking *c, struct error *e)
{
	_cleanup_(free) char *text = NULL;

	if (!chunk_find(&s->sums, name, CHANGED_METHOD, 0))
		return 0;
	int r = stream_get_text(s, name, CHANGED_METHOD, &text, NULL, e);

	if (r < 0)
		return r;
	strlist_add_parts(&c->changed, text, '\n');
	strlist_sort(&c->changed);
	return 0;
}

int restored_check(struct set *s, const char *name, const char *folder, struct report *report,
		   struct error *e)
{
	_cleanup_(checking) struct checking c = { 0 };
	const struct tree_compare_options options = { .excuse = excuse, .differs = differs, .user = &c };
	struct tree_counts counts = { 0 };
	struct report quiet;

	report_init(&quiet, VERBOSITY_QUIET, false);
	int r = read_changed(s, name, &c, e);

	if (r == 0)
		r = set_compare_tree(s, name, folder, &options, &counts, &quiet, e);
	if (r < 0)
		return r;
	_cleanup_(free) char *extra = c.extra.count ? strlist_join(&c.extra, ", ") : NULL;

	if (extra)
		report_warn(report, "restore %s: %zu files that are not listed: %.500s", name, c.extra.count,
			    extra);
	return c.count ? error_text(e, EIO, "restore %s: %zu differences to what was listed: %.300s", name,
				    c.count, c.first)
		       : 0;
}

/* ---- files alone ---- */

static int look_for(void *user, const struct listed *f, struct error *e)
{
	struct checking *c = user;
	struct stat st = { .st_mode = 0 };

	if (!S_ISREG(f->mode))
		return 0;
	if (fstatat(c->rootfd, f->path, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno != ENOENT && errno != ENOTDIR)
		return error_errno(e, errno, "look at %s", f->path);
	if ((S_ISREG(st.st_mode) && (uint64_t)st.st_size == f->size) || has_changed(c, f->path))
		return 0;
	c->count++;
	if (!c->first)
		c->first = xasprintf("%s: %s", f->path,
				     S_ISREG(st.st_mode) ? "its size is another one"
				     : st.st_mode        ? "it is no file"
							 : "missing");
	return 0;
}

int restored_check_files(struct set *s, const char *name, const char *folder, struct error *e)
{
	_cleanup_(fd) int rootfd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(checking) struct checking c = { .rootfd = rootfd };

	if (rootfd < 0)
		return error_errno(e, errno, "open %s", folder);
	int r = read_changed(s, name, &c, e);

	if (r == 0)
		r = listing_each(s, name, look_for, &c, e);
	if (r < 0)
		return r;
	return c.count ? error_text(e, EIO, "restore %s: it did not bring back %zu of the files: %.300s",
				    name, c.count, c.first)
		       : 0;
}
