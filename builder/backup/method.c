/* The table of methods. */
#include "backup/method.h"

#include "backup/inside.h"
#include "backup/listing_stream.h"
#include "backup/set_private.h"
#include "backup/xattrs.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>

static const struct method *const methods[] = { &method_dump, &method_archive, &method_xfsdump, &method_send,
						&method_raw };

static const struct method *find(const char *name, struct error *e)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++)
		if (streq(methods[i]->name, name))
			return methods[i];
	(void)error_text(e, EOPNOTSUPP, "backup method '%s' is unknown to this version", name);
	return NULL;
}

/* A base serves when its stream has a listing: what a level has to save is found by that. */
static const struct stream_record *find_base(const struct set_writer *w, const char *name, const char *method)
{
	const struct stream_record *r = w->base ? levels_find(&w->base->levels, name) : NULL;

	return r && streq(r->method, method) && listing_there(w->base, name) ? r : NULL;
}

/* By the date of the set below it is told what changed since: when the clock was ahead then, or is behind now, that would
 * be too little. */
static const struct stream_record *past_base(const struct stream_record *r, const struct set_source *source,
					     struct report *report)
{
	if (!r || r->date <= (int64_t)time(NULL))
		return r;
	report_warn(
		report,
		"%s: saved in full: by this machine's clock the set below is still to be made, so that what "
		"changed since cannot be told",
		source->shown);
	return NULL;
}

bool set_method_suits(const char *method, const char *type)
{
	const struct method *m = find(method, NULL);

	return m && m->type && (!*m->type || streq(m->type, type));
}

bool set_method_excludes(const char *method)
{
	const struct method *m = find(method, NULL);

	return m && m->by_file;
}

int set_save_filesystem(struct set_writer *w, const char *name, const char *method,
			const struct set_source *source, struct report *report, struct error *e)
{
	struct set_source shown = *source;
	const struct method *m = find(method, e);
	struct stream_record record = { 0 };

	if (!m)
		return -EOPNOTSUPP;
	if (m->image)
		return error_text(e, EINVAL, "method %s saves no file systems", method);
	struct save_job job = { .w = w, .name = name, .source = &shown, .record = &record, .report = report };

	if (!shown.shown)
		shown.shown = shown.folder;
	if (shown.exclude && !shown.exclude->count)
		shown.exclude = NULL;
	if (shown.exclude && !m->by_file)
		return error_text(e, EINVAL, "%s: method %s can leave nothing out", shown.shown, method);
	const struct stream_record *known = m->no_levels ? NULL : find_base(w, name, method);

	job.base_record = past_base(known, &shown, report);
	job.base = job.base_record ? w->base : NULL;
	int r = m->save(&job, e);

	if (r < 0) {
		free(record.identity);
		return r;
	}
	if (shown.as_of && shown.as_of < record.date) /* what changed since is not in it */
		record.date = shown.as_of;
	record.name = xstrdup(name);
	record.method = xstrdup(method);
	if (shown.exclude)
		record.exclude = strlist_join(shown.exclude, " ");
	levels_add(&w->levels, &record);
	if (w->levels.level && !w->levels.streams[w->levels.count - 1].since && known == job.base_record)
		report_info(report,
			    m->no_levels
				    ? "%s: saved in full: its method knows no levels"
				    : "%s: saved in full: the set below holds no state of it to go on from",
			    shown.shown);
	return 0;
}

/* Does the stream go on from that of the set below? */
static struct set *below(const struct set *s, const char *name)
{
	const struct stream_record *r = levels_find(&s->levels, name);

	return r && r->since ? s->base : NULL;
}

int set_check_stream(const struct set *s, const char *name, const char *method, struct error *e)
{
	_cleanup_(free) const struct sum **chunks = NULL;
	size_t count;

	if (!find(method, e))
		return -EOPNOTSUPP;
	int r = set_stream_chunks(s, name, method, &chunks, &count, e);
	const struct set *base = below(s, name);

	return r == 0 && base ? set_check_stream(base, name, method, e) : r;
}

/* What was restored is in memory for the most part: here the disk says whether it keeps it. */
static int flush(const char *folder, struct error *e)
{
	_cleanup_(fd) int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || syncfs(fd) < 0 ? error_errno(e, errno, "write %s", folder) : 0;
}

/* The sets below first. */
static int restore_chain(const struct method *m, struct set *s, const char *name, const char *folder,
			 bool last, struct report *report, struct error *e)
{
	struct set *base = below(s, name);
	int r = base ? restore_chain(m, base, name, folder, false, report, e) : 0;

	return r < 0 ? r : m->restore(s, name, folder, last, report, e);
}

/* What inherited an ACL from its folder, which had one before the file was there, and has none of its own. */
static int drop_inherited(const struct listed *f, int rootfd, const char *folder, struct error *e)
{
	static const char *const acls[] = { "system.posix_acl_access", "system.posix_acl_default" };
	_cleanup_(free) char *above = xstrdup(f->path);
	char *name = strrchr(above, '/');
	unsigned char digest[LISTING_XATTRS];
	bool any = false;

	if (!name)
		return 0; /* the root was there before */
	*name++ = '\0';
	_cleanup_(fd) int fd = open_inside(rootfd, above, O_RDONLY | O_DIRECTORY);

	if (fd < 0) /* what changed while it was saved may be missing */
		return errno == ENOENT ? 0 : error_errno(e, errno, "open %s/%s", folder, above);
	int r = xattrs_digest(fd, name, f->path, &any, digest, e);

	if (r < 0 || !any || (f->has_xattrs && memcmp(digest, f->xattrs, sizeof(digest)) == 0))
		return r;
	_cleanup_(free) char *at = xasprintf("/proc/self/fd/%d/%s", fd, name);

	for (size_t i = 0; i < sizeof(acls) / sizeof(*acls); i++)
		if (lremovexattr(at, acls[i]) < 0 && errno != ENODATA && errno != ENOTSUP)
			return error_errno(e, errno, "remove %s of %s/%s", acls[i], folder, f->path);
	return 0;
}

/* Of all files that came after the full set. */
static int drop_all_inherited(struct set *s, const char *name, const char *folder, struct error *e)
{
	_cleanup_(listing) struct listing l = { 0 };
	unsigned links = 0;

	for (struct set *base = s; (base = below(base, name));)
		links++;
	if (!links)
		return 0;
	_cleanup_(fd) int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = fd < 0 ? error_errno(e, errno, "open %s", folder) : listing_load(s, name, &l, NULL, e);

	for (size_t i = 0; r == 0 && i < l.count; i++)
		if (l.items[i].back < links && !S_ISLNK(l.items[i].mode))
			r = drop_inherited(&l.items[i], fd, folder, e);
	return r;
}

int set_receive_stream(struct set *s, const char *name, const char *method, const char *folder,
		       struct report *report, struct error *e)
{
	const struct method *m = find(method, e);

	if (!m)
		return -EOPNOTSUPP;
	if (!m->receive)
		return error_text(e, EINVAL, "method %s receives nothing", method);
	return m->receive(s, name, folder, report, e);
}

int set_restore_stream(struct set *s, const char *name, const char *method, const char *folder,
		       struct report *report, struct error *e)
{
	const struct method *m = find(method, e);

	if (!m)
		return -EOPNOTSUPP;
	if (m->image)
		return raw_restore(s, name, folder, report, e);
	int r = restore_chain(m, s, name, folder, true, report, e);

	if (r == 0)
		r = drop_all_inherited(s, name, folder, e);

	return r < 0 ? r : flush(folder, e);
}
