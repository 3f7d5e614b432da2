/* Opening a set, and what it says of itself. */
#include "backup/set_private.h"
#include "backup/tape.h"
#include "backup/unseal.h"

#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>

enum { sums_max = 4 << 20, small_buffer = 64 << 10 }; /* bytes */

/* Which set is meant: looked for in all replicas, where one may lack the newest. */
static int choose(struct target *target, const char *host, const char *name, struct set_info *ret,
		  struct report *report, struct error *e)
{
	_cleanup_(strlist) struct strlist hosts = { 0 };
	struct set_info found = { 0 };
	struct error first = { 0 };
	struct target *t = target;
	size_t read = 0;

	do {
		_cleanup_(set_list) struct set_list l = { 0 };
		struct error why;

		if (set_list(t, &l, &why) < 0) {
			if (!first.code)
				first = why;
			continue;
		}
		read++;
		for (size_t i = 0; i < l.count; i++) {
			struct set_info *info = &l.items[i];

			if (!info->complete || (name && !streq(info->name, name)) ||
			    (host && !streq(info->host, host)))
				continue;
			strlist_add_once(&hosts, info->host);
			if (found.name && strcmp(info->name, found.name) <= 0)
				continue;
			free(found.host);
			free(found.name);
			found = *info;
			info->host = info->name = NULL;
		}
	} while ((t = t->replica));
	_cleanup_(free) char *which = strlist_join(&hosts, ", ");
	_cleanup_(free) char *found_host = found.host, *found_name = found.name;

	if (first.code && !read) {
		*e = first;
		return -e->code;
	}
	if (first.code)
		report_warn(report, "%s", first.text);
	if (!found_name)
		return error_text(e, ENOENT, "%s: no complete set%s%s%s%s", target->shown, name ? " " : "",
				  name ? name : "", host ? " of host " : "", host ? host : "");
	if (hosts.count > 1)
		return error_text(e, EINVAL,
				  "%s: it holds sets of several hosts (%s): say which one (--host)",
				  target->shown, which);
	*ret = (struct set_info) { .host = TAKE_PTR(found_host), .name = TAKE_PTR(found_name) };
	return 0;
}

static int read_sums(const struct target *t, int dirfd, const char *shown, struct sums *ret, struct error *e)
{
	_cleanup_(free) char *text = NULL, *path = xasprintf("%s/" SUMS_FILE, shown);
	size_t len = 0;
	int r = t->tape ? tape_read(dirfd, t->tape, path, sums_max, &text, &len, e)
			: read_file_at(dirfd, SUMS_FILE, sums_max, &text, &len, e);

	if (r < 0) {
		error_prefix(e, "%s", shown);
		return r;
	}
	/* zeros are what a crash of the server leaves of a file */
	return strlen(text) == len
		       ? sums_parse(text, shown, ret, e)
		       : error_text(e, EBADMSG, "%s/%s: damaged: it holds NUL bytes", shown, SUMS_FILE);
}

static bool same_sums(const struct sums *a, const struct sums *b)
{
	bool same = a->count == b->count;

	for (size_t i = 0; same && i < a->count; i++)
		same = streq(a->items[i].name, b->items[i].name) && streq(a->items[i].hex, b->items[i].hex);
	return same;
}

/* One place of the set. Its list of sums has to be that of the others: of two that differ, nobody can say which is
 * right before every file was read, and what is not the same set must not be mixed. */
static int add_copy(struct set *s, struct target *t, bool several, struct error *e)
{
	_cleanup_(sums) struct sums sums = { 0 };
	_cleanup_(free) char *shown = xasprintf("%s%s%s", t->shown, "/", s->shown);
	_cleanup_(fd) int fd =
		t->tape ? fcntl(t->dirfd, F_DUPFD_CLOEXEC, 3)
			: openat(t->dirfd, s->shown, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return error_errno(e, errno, "open %s", shown);
	int r = read_sums(t, fd, s->shown, &sums, e);

	if (r < 0 && several)
		error_prefix(e, "%s", t->shown);
	if (r < 0)
		return r;
	if (s->copy_count && !same_sums(&sums, &s->sums))
		return error_text(e, EBADMSG, "%s: its %s is not that of %s", shown, SUMS_FILE,
				  s->copies[0].target->shown);
	if (!s->copy_count) {
		s->sums = sums;
		sums = (struct sums) { 0 };
	}
	s->copies[s->copy_count++] = (struct set_copy) { .target = t, .dirfd = TAKE_FD(fd) };
	return 0;
}

static int open_copies(struct set *s, struct target *target, struct report *report, struct error *e)
{
	struct error first = { 0 };

	for (struct target *t = target; t && s->copy_count < SET_COPIES_MAX; t = t->replica) {
		struct error why;

		if (add_copy(s, t, target->replica != NULL, &why) == 0)
			continue;
		if (target->replica)
			report_warn(report, "%s", why.text);
		if (!first.code)
			first = why;
	}
	if (s->copy_count)
		return 0;
	*e = first;
	return -e->code;
}

void set_sums_digest(const struct set *s, char ret_hex[DIGEST_HEX_SIZE])
{
	_cleanup_(strbuf) struct strbuf text = { 0 };
	_cleanup_(digest) struct digest *d = digest_new();

	sums_format(&s->sums, &text); /* the only form that is read */
	digest_add(d, text.data, text.len);
	digest_hex(d, ret_hex);
}

static int read_text(struct set *s, const char *file, char **ret_text, struct report *report,
		     struct error *e);

/* Sets of older versions have none. */
static int read_levels(struct set *s, struct report *report, struct error *e)
{
	_cleanup_(free) char *text = NULL, *shown = xasprintf("%s/" LEVELS_FILE, s->shown);

	if (!sums_find(&s->sums, LEVELS_FILE))
		return 0;
	int r = read_text(s, LEVELS_FILE, &text, report, e);

	return r < 0 ? r : levels_parse(shown, text, &s->levels, e);
}

/* The set below; it is older, so that this ends. */
static int open_base(struct target *target, struct set *s, const struct set_info *info, struct report *report,
		     struct error *e)
{
	const char *base = s->levels.base;
	char hex[DIGEST_HEX_SIZE];

	if (!base)
		return 0;
	if (strcmp(base, info->name) >= 0)
		return error_text(e, EBADMSG, "%s goes on from %s, which is not older", s->shown, base);
	int r = set_open(target, info->host, base, &s->base, report, e);

	if (r < 0) {
		error_prefix(e, "%s goes on from %s/%s", s->shown, info->host, base);
		return r;
	}
	set_sums_digest(s->base, hex);
	if (!streq(hex, s->levels.base_sums))
		return error_text(e, EBADMSG, "%s goes on from %s, which is not what it was then", s->shown,
				  set_shown(s->base));
	return 0;
}

static int open_chosen(struct target *target, const struct set_info *info, struct set **ret,
		       struct report *report, struct error *e)
{
	_cleanup_(set) struct set *s = xcalloc(1, sizeof(*s));

	(void)pthread_mutex_init(&s->lock, NULL); /* cannot fail on Linux */
	s->state_fd = -1;
	s->shown = xasprintf("%s/%s", info->host, info->name);
	s->copies = xcalloc(SET_COPIES_MAX, sizeof(*s->copies));
	int r = open_copies(s, target, report, e);

	if (r < 0)
		return r;
	s->whole = xcalloc(s->sums.count + 1, sizeof(*s->whole));
	r = read_levels(s, report, e);
	if (r == 0)
		r = open_base(target, s, info, report, e);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(s);
	return 0;
}

int set_open(struct target *target, const char *host, const char *name, struct set **ret,
	     struct report *report, struct error *e)
{
	struct set_info info = { 0 };
	int r = choose(target, host, name, &info, report, e);

	if (r < 0)
		return r;
	r = open_chosen(target, &info, ret, report, e);
	free(info.host);
	free(info.name);
	return r;
}

void set_close(struct set *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->copy_count; i++)
		(void)close(s->copies[i].dirfd); /* read side */
	if (s->state_fd >= 0)
		(void)close(s->state_fd); /* read side */
	free(s->copies);
	free(s->whole);
	sums_free(&s->sums);
	levels_free(&s->levels);
	set_close(s->base);
	free(s->shown);
	(void)pthread_mutex_destroy(&s->lock); /* nobody holds it */
	free(s);
}

const char *set_shown(const struct set *s)
{
	return s->shown;
}

char *set_identity(const struct set *s)
{
	char hex[DIGEST_HEX_SIZE];

	set_sums_digest(s, hex);
	return xasprintf("%s %s", s->shown, hex);
}

/* A small file as it is in one copy, whatever its sum says. The caller frees. */
static int read_small(struct set *s, size_t copy, const char *name, char **ret, size_t *ret_len,
		      struct report *report, struct error *e)
{
	_cleanup_(set_file) struct set_file f = SET_FILE_NONE;
	uint64_t size = 0;
	int r = set_file_open(s, copy, name, 0, &f, report, e);

	if (r == 0)
		r = set_file_size(&f, &size, e);
	if (r < 0)
		return r;
	if (size > SET_SMALL_MAX)
		return error_text(e, EFBIG, "%s/%s: it is larger than 16 MiB", s->shown, name);
	_cleanup_(free) char *text = xmalloc((size_t)size + 1);
	ssize_t n = set_file_read(&f, text, (size_t)size, report, e);

	if (n < 0)
		return (int)n;
	text[n] = '\0';
	*ret = TAKE_PTR(text);
	*ret_len = (size_t)n;
	return 0;
}

unsigned set_level(const struct set *s)
{
	return s->levels.level;
}

void set_exclusions(const struct set *s, struct strlist *ret)
{
	levels_exclusions(&s->levels, ret);
}

bool set_encrypted(const struct set *s)
{
	for (; s; s = s->base)
		for (size_t i = 0; i < s->sums.count; i++)
			if (chunk_is_sealed(s->sums.items[i].name))
				return true;
	return false;
}

void set_use_key(struct set *s, const struct age_key *key)
{
	for (; s; s = s->base)
		s->key = key;
}

static int check_key_of(struct set *s, const struct sum *chunk, struct report *report, struct error *e)
{
	_cleanup_(unseal) struct unseal *u = NULL;
	char first;
	int r = unseal_open(s, chunk, report, &u, e);
	ssize_t n = r < 0 ? r : unseal_read(u, &first, 1, e);

	return n < 0 ? (int)n : 0;
}

int set_check_key(struct set *s, struct report *report, struct error *e)
{
	int r = 0;

	for (; s; s = s->base)
		for (size_t i = 0; r == 0 && i < s->sums.count; i++)
			if (str_ends(s->sums.items[i].name, ".zst.000" AGE_SUFFIX))
				r = check_key_of(s, &s->sums.items[i], report, e);
	return r;
}

struct set *set_base(const struct set *s)
{
	return s->base;
}

/* A small file of the set, checked against its sum. The caller frees. */
static int read_text(struct set *s, const char *file, char **ret_text, struct report *report, struct error *e)
{
	const struct sum *sum = sums_find(&s->sums, file);
	_cleanup_(free) char *text = NULL;
	_cleanup_(free) char *buffer = xmalloc(small_buffer);
	_cleanup_(digest) struct digest *d = digest_new();
	char hex[DIGEST_HEX_SIZE];
	size_t len = 0;

	if (!sum)
		return error_text(e, EBADMSG, "%s: %s does not list %s", s->shown, SUMS_FILE, file);
	int r = set_find_whole(s, sum, buffer, small_buffer, NULL, report, e);

	if (r == 0)
		r = read_small(s, set_copy_of(s, sum), file, &text, &len, report, e);
	if (r < 0)
		return r;
	digest_add(d, text, len);
	digest_hex(d, hex);
	if (!streq(hex, sum->hex)) /* again: it was read twice */
		return error_text(e, EBADMSG, "%s/%s: damaged: its SHA-256 is %.16s..., not %.16s...",
				  s->shown, file, hex, sum->hex);
	if (strlen(text) != len)
		return error_text(e, EBADMSG, "%s/%s: holds NUL bytes; expected text", s->shown, file);
	*ret_text = TAKE_PTR(text);
	return 0;
}

int set_machine_conf(struct set *s, char **ret_text, struct report *report, struct error *e)
{
	return read_text(s, "machine.conf", ret_text, report, e);
}

/* ---- chunks of a stream ---- */

struct numbered {
	int number;
	const struct sum *sum;
};

static int by_number(const void *a, const void *b)
{
	return ((const struct numbered *)a)->number - ((const struct numbered *)b)->number;
}

int set_stream_chunks(const struct set *s, const char *name, const char *method, const struct sum ***ret,
		      size_t *ret_count, struct error *e)
{
	_cleanup_(free) struct numbered *found = xcalloc(s->sums.count, sizeof(*found));
	size_t count = 0;

	for (size_t i = 0; i < s->sums.count; i++) {
		int number = chunk_number(s->sums.items[i].name, name, method);

		if (number >= 0)
			found[count++] = (struct numbered) { number, &s->sums.items[i] };
	}
	if (count == 0)
		return error_text(e, ENOENT, "%s: it holds no stream %s.%s", s->shown, name, method);
	qsort(found, count, sizeof(*found), by_number);
	for (size_t i = 0; i < count; i++)
		if (found[i].number != (int)i)
			return error_text(e, EBADMSG, "%s/%s.%s.zst.%03zu: not listed in %s", s->shown, name,
					  method, i, SUMS_FILE);
	const struct sum **chunks = xcalloc(count, sizeof(*chunks));

	for (size_t i = 0; i < count; i++)
		chunks[i] = found[i].sum;
	*ret = chunks;
	*ret_count = count;
	return 0;
}
