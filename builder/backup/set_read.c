/* Finding and opening sets. */
#include "backup/set_private.h"

#include "base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

enum { sums_max = 4 << 20, small_file_max = 16 << 20 }; /* bytes */

void set_list_free(struct set_list *l)
{
	for (size_t i = 0; i < l->count; i++) {
		free(l->items[i].host);
		free(l->items[i].name);
	}
	free(l->items);
	*l = (struct set_list) { 0 };
}

int set_read_folder(int dirfd, const char *name, const char *shown, struct strlist *ret, struct error *e)
{
	_cleanup_(strlist) struct strlist names = { 0 };
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d) {
		int code = errno;

		if (fd >= 0)
			(void)close(fd); /* read side */
		return error_errno(e, code, "read %s", shown);
	}
	const struct dirent *entry;

	errno = 0;
	while ((entry = readdir(d)))
		if (*entry->d_name != '.')
			strlist_add(&names, entry->d_name);
	int code = errno;

	(void)closedir(d); /* read side */
	if (code)
		return error_errno(e, code, "read %s", shown);
	strlist_sort(&names);
	*ret = names;
	names = (struct strlist) { 0 };
	return 0;
}

static int list_set(int hostfd, const char *shown, const char *host, const char *name, struct set_list *l,
		    struct error *e)
{
	_cleanup_(strlist) struct strlist files = { 0 };
	struct set_info info = { 0 };

	if (!set_folder_name(name, &info.level, &info.complete))
		return 0; /* somebody else's */
	int r = set_read_folder(hostfd, name, shown, &files, e);

	/* Another host's backup may rename or remove its set at this moment. */
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	for (size_t i = 0; i < files.count; i++) {
		_cleanup_(free) char *path = xasprintf("%s/%s", name, files.items[i]);
		struct stat st;

		if (fstatat(hostfd, path, &st, AT_SYMLINK_NOFOLLOW) < 0) {
			if (errno == ENOENT)
				continue;
			return error_errno(e, errno, "read %s/%s", shown, path);
		}
		info.size += (uint64_t)st.st_size;
	}
	info.host = xstrdup(host);
	info.name = xstrdup(name);
	l->items = xgrow(l->items, l->count + 1, &l->capacity, sizeof(*l->items));
	l->items[l->count++] = info;
	return 0;
}

static int list_host(const struct target *target, const char *host, struct set_list *l, struct error *e)
{
	_cleanup_(strlist) struct strlist names = { 0 };
	_cleanup_(free) char *shown = xasprintf("%s/%s", target->shown, host);
	struct stat st;

	if (fstatat(target->dirfd, host, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return error_errno(e, errno, "read %s", shown);
	if (!S_ISDIR(st.st_mode) || !set_name_good(host))
		return 0;
	_cleanup_(fd) int hostfd =
		openat(target->dirfd, host, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	/* A folder that is not ours to read (lost+found of a whole disk) is no host's. */
	if (hostfd < 0)
		return errno == EACCES ? 0 : error_errno(e, errno, "open %s", shown);
	int r = set_read_folder(hostfd, ".", shown, &names, e);

	for (size_t i = 0; r == 0 && i < names.count; i++)
		r = list_set(hostfd, shown, host, names.items[i], l, e);
	return r;
}

int set_list(const struct target *target, struct set_list *ret, struct error *e)
{
	_cleanup_(strlist) struct strlist hosts = { 0 };
	_cleanup_(set_list) struct set_list l = { 0 };
	int r = set_read_folder(target->dirfd, ".", target->shown, &hosts, e);

	for (size_t i = 0; r == 0 && i < hosts.count; i++)
		r = list_host(target, hosts.items[i], &l, e);
	if (r < 0)
		return r;
	*ret = l;
	l = (struct set_list) { 0 };
	return 0;
}

/* ---- opening ---- */

/* Which set is meant. */
static int choose(const struct target *target, const char *host, const char *name, struct set_info *ret,
		  struct error *e)
{
	_cleanup_(set_list) struct set_list l = { 0 };
	_cleanup_(strlist) struct strlist hosts = { 0 };
	const struct set_info *found = NULL;
	int r = set_list(target, &l, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < l.count; i++) {
		const struct set_info *info = &l.items[i];

		if (!info->complete || (name && !streq(info->name, name)) ||
		    (host && !streq(info->host, host)))
			continue;
		strlist_add_once(&hosts, info->host);
		found = info; /* the last is the newest */
	}
	_cleanup_(free) char *which = strlist_join(&hosts, ", ");

	if (!found)
		return error_text(e, ENOENT, "%s: no complete set%s%s%s%s", target->shown, name ? " " : "",
				  name ? name : "", host ? " of host " : "", host ? host : "");
	if (hosts.count > 1)
		return error_text(e, EINVAL,
				  "%s: it holds sets of several hosts (%s): say which one (--host)",
				  target->shown, which);
	*ret = (struct set_info) { .host = xstrdup(found->host), .name = xstrdup(found->name) };
	return 0;
}

int set_open(const struct target *target, const char *host, const char *name, struct set **ret,
	     struct error *e)
{
	_cleanup_(set) struct set *s = xcalloc(1, sizeof(*s));
	_cleanup_(free) char *text = NULL, *path = NULL;
	struct set_info info = { 0 };
	size_t len;

	s->dirfd = -1;
	int r = choose(target, host, name, &info, e);

	if (r < 0)
		return r;
	path = xasprintf("%s/%s", info.host, info.name);
	free(info.host);
	free(info.name);
	s->shown = xstrdup(path);
	s->dirfd = openat(target->dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (s->dirfd < 0)
		return error_errno(e, errno, "open %s/%s", target->shown, path);
	r = read_file_at(s->dirfd, SUMS_FILE, sums_max, &text, &len, e);
	if (r < 0) {
		error_prefix(e, "%s", s->shown);
		return r;
	}
	/* zeros are what a crash of the server leaves of a file */
	r = strlen(text) == len
		    ? sums_parse(text, s->shown, &s->sums, e)
		    : error_text(e, EBADMSG, "%s/%s: damaged: it holds NUL bytes", s->shown, SUMS_FILE);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(s);
	return 0;
}

void set_close(struct set *s)
{
	if (!s)
		return;
	if (s->dirfd >= 0)
		(void)close(s->dirfd); /* read side */
	sums_free(&s->sums);
	free(s->shown);
	free(s);
}

const char *set_shown(const struct set *s)
{
	return s->shown;
}

int set_machine_conf(struct set *s, char **ret_text, struct error *e)
{
	static const char file[] = "machine.conf";
	const struct sum *sum = sums_find(&s->sums, file);
	_cleanup_(free) char *text = NULL;
	_cleanup_(digest) struct digest *d = digest_new();
	char hex[DIGEST_HEX_SIZE];
	size_t len;

	if (!sum)
		return error_text(e, EBADMSG, "%s: %s does not list %s", s->shown, SUMS_FILE, file);
	int r = read_file_at(s->dirfd, file, small_file_max, &text, &len, e);

	if (r < 0) {
		error_prefix(e, "%s", s->shown);
		return r;
	}
	digest_add(d, text, len);
	digest_hex(d, hex);
	if (!streq(hex, sum->hex))
		return error_text(e, EBADMSG, "%s/%s: damaged: its SHA-256 is %.16s..., not %.16s...",
				  s->shown, file, hex, sum->hex);
	if (strlen(text) != len)
		return error_text(e, EBADMSG, "%s/%s: holds NUL bytes; expected text", s->shown, file);
	*ret_text = TAKE_PTR(text);
	return 0;
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
