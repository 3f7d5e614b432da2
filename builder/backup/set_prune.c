/* Old sets go, by what is to be kept. A set that another one goes on from stays with it. */
#include "backup/set_private.h"

#include "base/fs.h"
#include "conf/ini.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

enum { leftover_age = 24 * 3600, conf_max = 1 << 20 };

struct pruning {
	const struct target *target;
	const struct set_prune_options *options;
	const char *host;
	char *shown; /* TARGET/HOST */
	int hostfd;
	struct set_list list; /* of all hosts */
	bool *stays; /* for each of them */
};

static void pruning_free(struct pruning *p)
{
	set_list_free(&p->list);
	free(p->stays);
	free(p->shown);
	if (p->hostfd >= 0)
		(void)close(p->hostfd); /* read side */
}
DEFINE_CLEANUP(pruning, struct pruning, pruning_free)

static bool is_meant(const struct pruning *p, size_t i)
{
	return streq(p->list.items[i].host, p->host);
}

/* ---- which ones stay ---- */

/* What the set itself says that it goes on from; NULL when it does not say. The caller frees. */
static int recorded_base(const struct pruning *p, const char *name, char **ret, struct error *e)
{
	_cleanup_(free) char *path = xasprintf("%s/set.conf", name), *text = NULL;
	_cleanup_(ini) struct ini ini = INI_NONE;
	int r = read_file_at(p->hostfd, path, conf_max, &text, NULL, e);

	if (r == -ENOENT)
		return 0;
	if (r == 0)
		r = ini_parse_text(path, text, &ini, e);
	if (r < 0) {
		error_prefix(e, "%s", p->shown);
		return r;
	}
	for (size_t i = 0; i < ini.count; i++) {
		const char *base =
			streq(ini.sections[i].kind, "set") ? ini_get(&ini.sections[i], "base") : NULL;

		if (base && !*ret)
			*ret = xstrdup(base);
	}
	return 0;
}

/* The set that this one cannot be restored without: the one that it names; and by dump(8)'s rule, for one that names
 * none, the newest before it of a lower level. */
static int keep_base(struct pruning *p, size_t at, struct error *e)
{
	const struct set_info *s = &p->list.items[at];
	_cleanup_(free) char *base = NULL;
	int r = recorded_base(p, s->name, &base, e);

	for (size_t i = at; r == 0 && i-- > 0;) {
		const struct set_info *older = &p->list.items[i];

		if (!is_meant(p, i) || !older->complete)
			continue;
		if (base ? streq(older->name, base) : older->level < s->level) {
			p->stays[i] = true;
			return 0;
		}
	}
	return r < 0 ? r
		     : error_text(e, ENOENT, "%s/%s: the set that it goes on from is not there", p->shown,
				  s->name);
}

/* Newest first: so a base is looked at after all that need it. */
static int choose(struct pruning *p, struct error *e)
{
	unsigned full = 0, incremental = 0;
	int r = 0;

	for (size_t i = p->list.count; r == 0 && i-- > 0;) {
		const struct set_info *s = &p->list.items[i];

		if (!is_meant(p, i) || !s->complete)
			continue;
		if (s->level == 0)
			p->stays[i] |= full++ < p->options->full || full == 1;
		else
			p->stays[i] |= incremental++ < p->options->incremental;
		if (p->stays[i] && s->level > 0)
			r = keep_base(p, i, e);
	}
	return r;
}

/* ---- is the newest full set there ---- */

static int check_newest_full(const struct pruning *p, struct report *report, struct error *e)
{
	struct target alone = *p->target;
	_cleanup_(set) struct set *s = NULL;
	const char *name = NULL;
	int r;

	for (size_t i = 0; i < p->list.count; i++)
		if (is_meant(p, i) && p->list.items[i].complete && p->list.items[i].level == 0)
			name = p->list.items[i].name;
	if (!name)
		return error_text(e, ENOENT, "%s: there is no full set, so nothing is removed", p->shown);
	alone.replica = NULL;
	r = set_open(&alone, p->host, name, &s, report, e);
	for (size_t i = 0; r == 0 && i < s->sums.count; i++) {
		uint64_t size;

		r = set_chunk_size(s, &s->sums.items[i], &size, report, e);
	}
	if (r < 0)
		error_prefix(e, "the newest full set is not whole, so nothing is removed");
	return r;
}

/* ---- removing ---- */

/* Under the name of one that was never complete, so that no half of a set is ever taken for one. */
static int remove_set(const struct pruning *p, const char *name, struct error *e)
{
	_cleanup_(free) char *partial = xasprintf("%s" PARTIAL_SUFFIX, name);
	int r = remove_tree_at(p->hostfd, partial, e); /* missing is fine */

	if (r == 0 && renameat(p->hostfd, name, p->hostfd, partial) < 0)
		r = error_errno(e, errno, "rename %s", name);
	if (r == 0)
		r = remove_tree_at(p->hostfd, partial, e);
	if (r < 0)
		error_prefix(e, "remove %s/%s", p->shown, name);
	return r;
}

/* Has nothing in it changed for a day? */
static int is_old(const struct pruning *p, const char *name, bool *ret, struct error *e)
{
	_cleanup_(strlist) struct strlist files = { 0 };
	time_t newest = 0;
	int r = set_read_folder(p->hostfd, name, p->shown, &files, e);

	strlist_add(&files, ".");
	for (size_t i = 0; r == 0 && i < files.count; i++) {
		_cleanup_(free) char *path = xasprintf("%s/%s", name, files.items[i]);
		struct stat st;

		if (fstatat(p->hostfd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return error_errno(e, errno, "read %s/%s", p->shown, path);
		newest = st.st_mtime > newest ? st.st_mtime : newest;
	}
	if (r == 0)
		*ret = newest + leftover_age < time(NULL);
	return r;
}

static int remove_all(struct pruning *p, struct set_list *ret, struct error *e)
{
	int r = 0;

	/* Newest first: at no moment is there one whose base is gone. */
	for (size_t i = p->list.count; r == 0 && i-- > 0;) {
		struct set_info *s = &p->list.items[i];
		bool goes = s->complete && !p->stays[i];

		if (!is_meant(p, i))
			continue;
		if (!s->complete)
			r = is_old(p, s->name, &goes, e);
		if (r == 0 && goes && !p->options->dry_run)
			r = s->complete ? remove_set(p, s->name, e) : remove_tree_at(p->hostfd, s->name, e);
		if (r < 0 || !goes)
			continue;
		ret->items = xgrow(ret->items, ret->count + 1, &ret->capacity, sizeof(*ret->items));
		ret->items[ret->count++] = *s;
		ret->items[ret->count - 1].host = xstrdup(s->host);
		ret->items[ret->count - 1].name = xstrdup(s->name);
		ret->items[ret->count - 1].base = s->base ? xstrdup(s->base) : NULL;
	}
	if (r == 0 && ret->count && !p->options->dry_run) {
		r = flush_folder(p->hostfd);
		if (r < 0)
			r = error_errno(e, -r, "write %s", p->shown);
	}
	return r;
}

int set_prune(const struct target *target, const char *host, const struct set_prune_options *options,
	      struct set_list *ret, struct report *report, struct error *e)
{
	_cleanup_(pruning) struct pruning p = {
		.target = target, .options = options, .host = host, .hostfd = -1
	};
	_cleanup_(fd) int lock = -1;
	_cleanup_(set_list) struct set_list gone = { 0 };
	int r = 0;

	if (target->tape) { /* it only grows, until it is started anew */
		*ret = (struct set_list) { 0 };
		return 0;
	}
	p.shown = xasprintf("%s/%s", target->shown, host);
	p.hostfd = openat(target->dirfd, host, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (p.hostfd < 0)
		return error_errno(e, errno, "open %s", p.shown);
	if (!options->locked && !options->dry_run)
		r = host_lock(p.hostfd, p.shown, &lock, e);
	if (r == 0)
		r = set_list(target, &p.list, e);
	if (r < 0)
		return r;
	p.stays = xcalloc(p.list.count + 1, sizeof(*p.stays));
	r = choose(&p, e);
	if (r == 0)
		r = check_newest_full(&p, report, e);
	if (r == 0)
		r = remove_all(&p, &gone, e);
	if (r < 0)
		return r;
	*ret = gone;
	gone = (struct set_list) { 0 };
	return 0;
}
