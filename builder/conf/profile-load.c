#include "conf/profile.h"

#include "base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { max_profile = 1 << 20 };

/* A site's own profile hides ours of the same name. */
static char *profile_path(const char *folder, const char *name)
{
	if (strchr(name, '/'))
		return xstrdup(name);
	_cleanup_(free) char *site = xasprintf("%s/%s.conf", PROFILE_FOLDER_SITE, name);

	if (access(site, F_OK) == 0)
		return TAKE_PTR(site);
	return xasprintf("%s/%s.conf", folder, name);
}

static bool is_loaded(const struct profiles *p, const char *name)
{
	for (size_t i = 0; i < p->count; i++)
		if (streq(p->list[i].name, name))
			return true;
	return false;
}

/* `chain` holds the profiles that are being read: one that requires itself would not end. */
static int load(struct profiles *all, const char *folder, const char *name, struct strlist *chain,
		struct error *e)
{
	if (is_loaded(all, name) || strlist_has(chain, name))
		return 0;
	_cleanup_(free) char *path = profile_path(folder, name);
	_cleanup_(free) char *text = NULL;
	_cleanup_(profile) struct profile p = { 0 };
	const char *from = chain->count ? chain->items[chain->count - 1] : NULL;

	if (access(path, F_OK) < 0 && errno == ENOENT)
		return error_text(e, ENOENT, "no profile '%s'%s%s (looked for %s)", name,
				  from ? ", required by profile " : "", from ? from : "", path);
	int r = read_file_at(AT_FDCWD, path, max_profile, &text, NULL, e);

	if (r == 0)
		r = profile_parse(name, path, text, &p, e);
	if (r < 0)
		return r;
	strlist_add(chain, name);
	for (size_t i = 0; i < p.requires.count; i++) {
		r = load(all, folder, p.requires.items[i], chain, e);
		if (r < 0)
			return r;
	}
	free(chain->items[--chain->count]);
	chain->items[chain->count] = NULL;
	all->list = xgrow(all->list, all->count + 1, &all->capacity, sizeof(*all->list));
	all->list[all->count++] = p;
	p = (struct profile) { 0 };
	return 0;
}

int profiles_load(const char *folder, const struct strlist *names, struct profiles *ret, struct error *e)
{
	_cleanup_(profiles) struct profiles all = { 0 };

	for (size_t i = 0; i < names->count; i++) {
		_cleanup_(strlist) struct strlist chain = { 0 };
		int r = load(&all, folder, names->items[i], &chain, e);

		if (r < 0)
			return r;
	}
	*ret = all;
	all = (struct profiles) { 0 };
	return 0;
}

/* The *.conf of one folder, by name. */
static void list_profiles(const char *folder, struct strlist *ret)
{
	DIR *d = opendir(folder);

	if (!d)
		return; /* a site need not have one */
	for (const struct dirent *entry; (entry = readdir(d));) {
		size_t n = strlen(entry->d_name);

		if (str_ends(entry->d_name, ".conf"))
			strlist_addf(ret, "%.*s", (int)(n - strlen(".conf")), entry->d_name);
	}
	(void)closedir(d); /* read side */
}

void profiles_that_promise(const char *folder, const char *promise, struct strlist *ret)
{
	_cleanup_(strlist) struct strlist names = { 0 };

	list_profiles(PROFILE_FOLDER_SITE, &names);
	list_profiles(folder, &names);
	strlist_sort(&names);
	for (size_t i = 0; i < names.count; i++) {
		_cleanup_(free) char *path = profile_path(folder, names.items[i]);
		_cleanup_(free) char *text = NULL;
		_cleanup_(profile) struct profile p = { 0 };
		struct error ignored;

		if (read_file_at(AT_FDCWD, path, max_profile, &text, NULL, &ignored) == 0 &&
		    profile_parse(names.items[i], path, text, &p, &ignored) == 0 &&
		    profile_promises(&p, promise))
			strlist_add_once(ret, names.items[i]);
	}
}
