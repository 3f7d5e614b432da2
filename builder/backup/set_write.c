/* Writing a set, in one place or in several at a time: its folder under a temporary name, files, the sums, the
 * rename. */
#include "backup/set_private.h"
#include "backup/tape.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

/* ---- all places alike ---- */

/* A place in which something failed is given up, with a warning, as long as another one is left. */
static int give_up(struct set_writer *w, struct set_place *p, const struct error *why, struct error *e)
{
	w->left--;
	w->failed++;
	if (!w->left) {
		*e = *why;
		return -why->code;
	}
	report_warn(w->report, "%s: this place is given up, the others go on", why->text);
	set_place_close(p);
	p->failed = true;
	return 0;
}

int set_each_place(struct set_writer *w, int (*step)(struct set_place *p, void *user, struct error *e),
		   void *user, struct error *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < w->place_count; i++) {
		struct error why;

		if (!w->places[i].failed && step(&w->places[i], user, &why) < 0)
			r = give_up(w, &w->places[i], &why, e);
	}
	return r;
}

/* ---- the beginning ---- */

static int open_places(struct set_writer *w, const struct target *target, const char *host, struct error *e)
{
	struct error first = { 0 };
	bool several = target->replica != NULL;

	for (; target && w->place_count < SET_COPIES_MAX; target = target->replica) {
		struct error why;

		if (set_place_open(target, host, &w->places[w->place_count], w->report, &why) == 0) {
			w->place_count++;
			continue;
		}
		w->failed++;
		if (several)
			report_warn(w->report, "%s: nothing is written there", why.text);
		if (!first.code)
			first = why;
	}
	w->left = w->place_count;
	if (w->left)
		return 0;
	*e = first;
	return -first.code;
}

/* When the newest set that any place has was made; INT64_MIN: there is none. */
static int newest_second(const struct set_writer *w, int64_t *ret, char ret_stamp[SET_STAMP_SIZE],
			 struct error *e)
{
	int64_t newest = INT64_MIN;

	for (size_t i = 0; i < w->place_count; i++) {
		_cleanup_(free) char *name = NULL;
		struct tm tm = { 0 };
		int r = set_place_newest(&w->places[i], &name, e);

		if (r < 0)
			return r;
		if (!name || !strptime(name, SET_STAMP, &tm) || timegm(&tm) <= newest)
			continue;
		newest = timegm(&tm);
		(void)snprintf(ret_stamp, SET_STAMP_SIZE, "%.*s", SET_STAMP_SIZE - 1, name);
	}
	*ret = newest;
	return 0;
}

/* Its name is the second, and always later than that of every set there: the newest is known by its name, and a level goes on
 * from an older one. Within a few seconds that is waited for; a clock that is further behind than that was wrong then or is
 * now. */
static int choose_name(struct set_writer *w, unsigned level, struct error *e)
{
	enum { patience = 2 }; /* seconds */
	const struct timespec moment = { .tv_nsec = 50000000 };
	char stamp[SET_STAMP_SIZE], newest_stamp[SET_STAMP_SIZE];
	int64_t newest;
	time_t now;
	struct tm tm;
	int r = newest_second(w, &newest, newest_stamp, e);

	if (r < 0)
		return r;
	while ((now = time(NULL)) <= newest && newest - now < patience)
		(void)nanosleep(&moment, NULL); /* cut short is as good */
	if (now <= newest) {
		now = newest + 1;
		report_warn(
			w->report,
			"%s: by this machine's clock the newest set there, of %s, is still to come: this one "
			"is named as if it were made right after it",
			w->shown, newest_stamp);
	}
	if (!gmtime_r(&now, &tm) || strftime(stamp, sizeof(stamp), SET_STAMP, &tm) != SET_STAMP_SIZE - 1)
		return error_text(e, EOVERFLOW, "%s: the clock cannot be right", w->shown);
	w->name = xasprintf("%s-%u", stamp, level);
	return 0;
}

static int begin(struct set_place *p, void *user, struct error *e)
{
	return set_place_begin(p, user, e);
}

static bool all_have(const struct target *target, const char *host, const char *name)
{
	_cleanup_(free) char *path = xasprintf("%s/%s", host, name), *folder = xasprintf("%s/", path);
	struct stat st;

	for (; target; target = target->replica)
		if (target->tape ? !tape_find(target->tape, folder)
				 : fstatat(target->dirfd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return false;
	return true;
}

/* dump(8)'s rule: a level goes on from the newest set of a lower one. The lock is held: none comes or goes. */
static int open_base(struct target *target, const char *host, unsigned level, struct set_writer *w,
		     struct report *report, struct error *e)
{
	_cleanup_(set_list) struct set_list l = { 0 };
	const char *base = NULL;

	w->levels.level = level;
	if (level == 0)
		return 0;
	int r = set_list(target, &l, e);

	for (size_t i = 0; r == 0 && i < l.count; i++)
		if (streq(l.items[i].host, host) && l.items[i].complete && l.items[i].level < level &&
		    all_have(target, host, l.items[i].name))
			base = l.items[i].name; /* the last is the newest */
	if (r == 0 && !base)
		return error_text(e, ENOENT,
				  "%s: level %u goes on from a set of a lower level, and there is none: make "
				  "a full one first (--level 0)",
				  w->shown, level);
	if (r == 0)
		r = set_open(target, host, base, &w->base, report, e);
	if (r < 0)
		return r;
	w->levels.base = xstrdup(base);
	set_sums_digest(w->base, w->levels.base_sums);
	return 0;
}

int set_begin(struct target *target, const char *host, unsigned level, uint64_t chunk_size,
	      struct set_writer **ret, struct report *report, struct error *e)
{
	_cleanup_(set_writer) struct set_writer *w = xcalloc(1, sizeof(*w));

	w->chunk_size = chunk_size;
	w->report = report;
	w->shown = xasprintf("%s/%s", target->shown, host);
	if (!set_name_good(host))
		return error_text(e, EINVAL, "host name '%s': expected letters, digits, '.', '-' and '_'",
				  host);
	int r = open_places(w, target, host, e);

	if (r == 0)
		r = choose_name(w, level, e);
	if (r == 0)
		r = open_base(target, host, level, w, report, e);
	if (r == 0)
		r = set_each_place(w, begin, w->name, e);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(w);
	return 0;
}

int set_writer_encrypt(struct set_writer *w, const struct strlist *recipients, const struct age_key *key,
		       const char *state, struct error *e)
{
	if (recipients->count)
		w->recipients = recipients;
	if (recipients->count && state)
		state_begin(w, state);
	if (!w->base || !set_encrypted(w->base))
		return 0;
	w->base->state_fd = state ? state_find(w, state) : -1;
	if (w->base->state_fd >= 0)
		return 0;
	if (!key)
		return error_text(e, ENOKEY,
				  "level %u goes on from %s, which is encrypted, and this machine has kept "
				  "nothing of it: its "
				  "listing takes the key (--identity FILE), or make a full one (--level 0)",
				  w->levels.level, set_shown(w->base));
	set_use_key(w->base, key);
	return set_check_key(w->base, w->report, e);
}

/* ---- small files ---- */

struct small {
	const char *name;
	const void *data;
	size_t len;
};

static int put_small(struct set_place *p, void *user, struct error *e)
{
	const struct small *file = user;
	int r = set_place_file(p, file->name, e);

	if (r == 0)
		r = set_place_write(p, file->data, file->len, e);
	return r < 0 ? r : set_place_file_end(p, e);
}

int set_add_file(struct set_writer *w, const char *name, const void *data, size_t len, struct error *e)
{
	_cleanup_(digest) struct digest *d = digest_new();
	struct small file = { name, data, len };
	char hex[DIGEST_HEX_SIZE];

	if (!set_name_good(name) || sums_find(&w->sums, name))
		return error_text(e, EINVAL, "%s/%s: no good name for a file of a set", w->shown, name);
	int r = set_each_place(w, put_small, &file, e);

	if (r < 0)
		return r;
	digest_add(d, data, len);
	digest_hex(d, hex);
	sums_add(&w->sums, name, hex);
	return 0;
}

/* ---- the end ---- */

void set_written(const struct set_writer *w, uint64_t *ret_plain, uint64_t *ret_packed)
{
	*ret_plain = w->plain;
	*ret_packed = w->packed;
}

const char *set_writer_name(const struct set_writer *w)
{
	return w->name;
}

size_t set_writer_failed(const struct set_writer *w)
{
	return w->failed;
}

void set_writer_files(const struct set_writer *w, struct strlist *ret)
{
	for (size_t i = 0; i < w->sums.count; i++)
		strlist_add(ret, w->sums.items[i].name);
	for (const struct set *s = w->base; s; s = s->base)
		for (size_t i = 0; i < s->sums.count; i++)
			strlist_addf(ret, "../%s/%s", strrchr(s->shown, '/') + 1, s->sums.items[i].name);
}

void set_writer_chain(const struct set_writer *w, const char *name, struct strlist *ret)
{
	const struct stream_record *r = levels_find(&w->levels, name);
	_cleanup_(strlist) struct strlist down = { 0 };

	strlist_add(&down, "");
	for (const struct set *s = w->base; s && r && r->since; s = s->base) {
		strlist_addf(&down, "../%s/", strrchr(s->shown, '/') + 1);
		r = levels_find(&s->levels, name);
	}
	for (size_t i = down.count; i > 0; i--)
		strlist_add(ret, down.items[i - 1]);
}

static int add_levels(struct set_writer *w, struct error *e)
{
	_cleanup_(strbuf) struct strbuf text = { 0 };
	int r = levels_format(&w->levels, &text, e);

	return r < 0 ? r : set_add_file(w, LEVELS_FILE, text.data, text.len, e);
}

static int commit(struct set_place *p, void *user, struct error *e)
{
	return set_place_commit(p, user, e);
}

int set_commit(struct set_writer *w, char **ret_name, struct error *e)
{
	_cleanup_(strbuf) struct strbuf text = { 0 };
	int r = add_levels(w, e);

	if (r < 0)
		return r;
	sums_format(&w->sums, &text);
	struct small file = { SUMS_FILE, text.data, text.len };
	r = set_each_place(w, put_small, &file, e);

	if (r == 0)
		r = set_each_place(w, commit, w->name, e);
	if (r < 0)
		return r;
	_cleanup_(digest) struct digest *d = digest_new();
	char hex[DIGEST_HEX_SIZE];

	digest_add(d, text.data, text.len);
	digest_hex(d, hex);
	state_commit(w, hex);
	*ret_name = xstrdup(w->name);
	return 0;
}

void set_abort(struct set_writer *w)
{
	if (!w)
		return;
	for (size_t i = 0; i < w->place_count; i++)
		set_place_close(&w->places[i]);
	state_abort(w);
	sums_free(&w->sums);
	levels_free(&w->levels);
	set_close(w->base);
	free(w->name);
	free(w->shown);
	free(w);
}
