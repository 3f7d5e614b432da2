#include "backup/dump_recheck.h"

#include "backup/walk.h"
#include "backup/xattrs.h"

#include <errno.h>
#include <sys/sysmacros.h>

void dump_recheck_free(struct dump_recheck *c)
{
	strbuf_free(&c->xattrs);
	strlist_free(&c->changed);
	strlist_free(&c->missed);
}

/* restore(8) takes a name of 255 bytes for an empty one, and still exits 0: the file is lost, or everything
 * when it is a folder. */
static int refuse_name(const struct dump_recheck *c, const struct walked *file, struct error *e)
{
	return error_text(
		e, ENAMETOOLONG,
		"%s/%.*s%.20s...: a name of 255 bytes, which restore(8) cannot bring back: shorten it",
		streq(c->source->shown, "/") ? "" : c->source->shown,
		(int)(strlen(file->path) - strlen(file->name)), file->path, file->name);
}

/* Things that it cannot bring back, as it makes something else of them. */
static int check_restorable(const struct dump_recheck *c, const struct walked *file, struct error *e)
{
	enum { minor_max = (1 << 19) - 1 }; /* it takes a device for a signed number of 32 bits */
	const char *above = streq(c->source->shown, "/") ? "" : c->source->shown;
	bool is_device = S_ISBLK(file->st.st_mode) || S_ISCHR(file->st.st_mode);

	if (streq(file->path, "restoresymtable"))
		return error_text(
			e, EEXIST,
			"%s/%s: restore(8) writes its own over it: remove it, an earlier restore left it",
			above, file->path);
	if (is_device && minor(file->st.st_rdev) > minor_max)
		return error_text(e, EOVERFLOW,
				  "%s/%s: a device %u:%u, which restore(8) cannot bring back: remove it",
				  above, file->path, major(file->st.st_rdev), minor(file->st.st_rdev));
	return walked_check_path(file, c->source, e);
}

/* `xattrs`: their digest, or NULL for none. A file that was changed meanwhile keeps dump's whole seconds. */
static void note(struct dump_recheck *c, const struct walked *file, const unsigned char *xattrs)
{
	bool missed = c->since && dump_tree_missed(c->tree, &file->st, c->since);
	bool same = dump_tree_note(c->tree, &file->st, xattrs);

	c->bytes += (uint64_t)file->st.st_blocks * 512;
	report_progress(c->report, c->bytes);
	if (missed)
		strlist_add(&c->missed, file->path);
	if (S_ISREG(file->st.st_mode) && (!same || walked_changed_since(file, &c->begun)))
		strlist_add(&c->changed, file->path);
}

static int look(void *user, const struct walked *file, struct error *e)
{
	struct dump_recheck *c = user;
	unsigned char digest[LISTING_XATTRS];
	bool any = false;

	if (*c->unwanted)
		return error_text(e, ECANCELED, "the backup failed");
	if (strlen(file->name) >= 255)
		return refuse_name(c, file, e);
	int r = check_restorable(c, file, e);

	if (r == 0)
		r = xattrs_digest(file->dirfd, file->name, file->path, &any, digest, e);
	if (r < 0)
		return r;
	(void)pthread_mutex_lock(&c->lock); /* a plain mutex that we do not hold */
	if (any) /* most have none, and to ask twice took a quarter of the walk */
		r = xattrs_list(&c->xattrs, file->dirfd, file->name, file->path, e);
	if (r == 0)
		note(c, file, any ? digest : NULL);
	(void)pthread_mutex_unlock(&c->lock);
	return r;
}

int dump_recheck(struct dump_recheck *c, const atomic_bool *unwanted, struct error *e)
{
	_cleanup_(free) char *what = xasprintf("look for changes in %s", c->source->shown);

	c->unwanted = unwanted;
	(void)pthread_mutex_init(&c->lock, NULL); /* cannot fail on Linux */
	report_begin(c->report, what, c->source->total);
	int r = walk_filesystem_together(c->source, look, c, e);

	report_end(c->report);
	(void)pthread_mutex_destroy(&c->lock); /* no thread is left */
	strlist_sort(&c->changed); /* the walk has no order */
	strlist_sort(&c->missed);
	return r;
}

int dump_recheck_missed(const struct dump_recheck *c, struct error *e)
{
	if (!c->missed.count)
		return 0;
	return error_text(
		e, ESTALE,
		"%s: %zu files (%s, ...) have changed since the set below, at a time before it: "
		"the clock was set back meanwhile, and dump left them out; make a full one (--level "
		"0)",
		c->source->shown, c->missed.count, c->missed.items[0]);
}
