/* Which sets a target holds. */
#include "backup/set_private.h"
#include "backup/tape.h"

#include "base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

void set_list_free(struct set_list *l)
{
	for (size_t i = 0; i < l->count; i++) {
		free(l->items[i].host);
		free(l->items[i].name);
		free(l->items[i].base);
		free(l->items[i].exclude);
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

/* What its set.conf says, for a list; nothing of it is checked. */
static void read_info(int hostfd, const char *name, struct set_info *info)
{
	_cleanup_(free) char *path = xasprintf("%s/" LEVELS_FILE, name), *text = NULL;
	_cleanup_(strlist) struct strlist exclude = { 0 };
	_cleanup_(levels) struct levels l = { 0 };

	if (read_file_at(hostfd, path, SET_SMALL_MAX, &text, NULL, NULL) < 0 ||
	    levels_parse(path, text, &l, NULL) < 0)
		return;
	info->base = TAKE_PTR(l.base);
	levels_exclusions(&l, &exclude);
	if (exclude.count)
		info->exclude = strlist_join(&exclude, " ");
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
		info.encrypted |= chunk_is_sealed(files.items[i]);
	}
	info.host = xstrdup(host);
	info.name = xstrdup(name);
	read_info(hostfd, name, &info);
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

/* Those on a device: HOST/SET/FILE names in their order. */
static void list_tape(const struct tape *t, struct set_list *l)
{
	for (size_t i = 0; i < t->count; i++) {
		_cleanup_(strlist) struct strlist parts = { 0 };
		struct set_info info = { .size = t->files[i].size };

		strlist_add_parts(&parts, t->files[i].path, '/');
		if (parts.count < 2 || !set_name_good(parts.items[0]) ||
		    !set_folder_name(parts.items[1], &info.level, &info.complete) || !info.complete)
			continue;
		struct set_info *last = l->count ? &l->items[l->count - 1] : NULL;

		if (last && streq(last->host, parts.items[0]) && streq(last->name, parts.items[1])) {
			last->size += info.size;
			continue;
		}
		info.host = xstrdup(parts.items[0]);
		info.name = xstrdup(parts.items[1]);
		l->items = xgrow(l->items, l->count + 1, &l->capacity, sizeof(*l->items));
		l->items[l->count++] = info;
	}
}

static int by_host(const void *a, const void *b)
{
	const struct set_info *x = a, *y = b;
	int r = strcmp(x->host, y->host);

	return r ? r : strcmp(x->name, y->name);
}

int set_list(const struct target *target, struct set_list *ret, struct error *e)
{
	if (target->tape) {
		struct set_list found = { 0 };

		list_tape(target->tape, &found);
		if (found.count)
			qsort(found.items, found.count, sizeof(*found.items), by_host);
		*ret = found;
		return 0;
	}
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
