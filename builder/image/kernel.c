#include "image/kernel.h"

#include "image/kernel_image.h"

#include <dirent.h>
#include <errno.h>
#include <sys/utsname.h>

void kernel_free(struct kernel *k)
{
	free(k->version);
	free(k->vmlinuz);
	free(k->modules);
	kernel_config_free(&k->config);
	*k = (struct kernel) { 0 };
}

static bool is_folder(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* The modules of `version`: in the root, or beside a kernel that lies in some other root's boot/. */
static char *find_modules(const struct root *root, const char *version, const char *vmlinuz)
{
	static const char *const folders[] = { "/lib/modules", "/usr/lib/modules" };
	const char *slash = vmlinuz ? strrchr(vmlinuz, '/') : NULL;
	struct error ignored;

	for (size_t i = 0; i < 2 && vmlinuz; i++) {
		_cleanup_(free) char *beside = xasprintf("%.*s/..%s/%s", slash ? (int)(slash - vmlinuz) : 1,
							 slash ? vmlinuz : ".", folders[i], version);

		char *plain = is_folder(beside) ? realpath(beside, NULL) : NULL;

		if (plain)
			return plain;
	}
	for (size_t i = 0; i < 2; i++) {
		_cleanup_(free) char *inside = xasprintf("%s/%s", folders[i], version);
		_cleanup_(walk) struct walk w = { 0 };

		if (root_walk(root, NULL, inside, &w, &ignored) == 0 && S_ISDIR(w.st.st_mode))
			return root_host_path(root, w.canonical);
	}
	return NULL;
}

/* A kernel that is installed in the root. */
static int find_installed(const struct root *root, const char *version, const char *what, struct kernel *ret,
			  struct error *e)
{
	static const char *const places[][2] = { { "/boot/vmlinuz-", "" },
						 { "/usr/lib/modules/", "/vmlinuz" },
						 { "/lib/modules/", "/vmlinuz" } };
	struct error ignored;

	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		_cleanup_(free) char *path = xasprintf("%s%s%s", places[i][0], version, places[i][1]);
		_cleanup_(walk) struct walk w = { 0 };

		if (root_walk(root, NULL, path, &w, &ignored) < 0 || !S_ISREG(w.st.st_mode))
			continue;
		_cleanup_(free) char *vmlinuz = root_host_path(root, w.canonical);
		_cleanup_(free) char *held = NULL;
		int r = kernel_image_version(vmlinuz, &held, e);

		if (r == 0 && !streq(held, version))
			r = error_text(e, EINVAL, "read %s: it holds kernel %s, not %s", vmlinuz, held,
				       version);
		if (r == 0)
			*ret = (struct kernel) { .version = TAKE_PTR(held),
						 .vmlinuz = TAKE_PTR(vmlinuz),
						 .modules = find_modules(root, version, NULL) };
		return r;
	}
	return error_text(
		e, ENOENT,
		"find %s kernel %s: neither %s/boot/vmlinuz-%s nor %s/lib/modules/%s/vmlinuz exists; "
		"name a vmlinuz or a .deb with -k (scripts/kernel-package fetches Debian's)",
		what, version, root->path, version, root->path, version);
}

static int find_image(const struct root *root, const char *path, struct kernel *ret, struct error *e)
{
	_cleanup_(free) char *version = NULL;
	int r = kernel_image_version(path, &version, e);

	if (r < 0)
		return r;
	*ret = (struct kernel) { .modules = find_modules(root, version, path), .vmlinuz = xstrdup(path) };
	ret->version = TAKE_PTR(version);
	return 0;
}

/* The kernel in a package's unpacked folder: the only boot/vmlinuz-*. */
static int find_in_package(const char *deb, struct kernel *ret, struct report *report, struct error *e)
{
	_cleanup_(free) char *folder = NULL;
	int r = deb_unpack(deb, &folder, report, e);

	if (r < 0)
		return r;
	_cleanup_(root) struct root root = ROOT_NONE;
	_cleanup_(free) char *boot = xasprintf("%s/boot", folder);
	_cleanup_(free) char *vmlinuz = NULL;
	DIR *d = opendir(boot);

	if (!d)
		return error_errno(e, errno, "open %s", boot);
	for (const struct dirent *entry; !vmlinuz && (entry = readdir(d));)
		if (str_after(entry->d_name, "vmlinuz"))
			vmlinuz = xasprintf("%s/%s", boot, entry->d_name);
	(void)closedir(d); /* read side */
	if (!vmlinuz)
		return error_text(e, ENOENT, "find the kernel in %s: no boot/vmlinuz-* in it", deb);
	r = root_open(folder, &root, e);
	return r < 0 ? r : find_image(&root, vmlinuz, ret, e);
}

/* The kernel of the package user-mode-linux: a program, with its modules in a place of its own. */
static int find_uml(const struct root *root, struct kernel *ret, struct error *e)
{
	static const char program[] = "/usr/bin/linux.uml", folder[] = "/usr/lib/uml/modules";
	_cleanup_(walk) struct walk w = { 0 };
	_cleanup_(free) char *modules = root_host_path(root, folder);
	_cleanup_(free) char *version = NULL;
	struct error ignored;
	size_t count = 0;

	if (root_walk(root, NULL, program, &w, &ignored) < 0 || !S_ISREG(w.st.st_mode))
		return error_text(e, ENOENT,
				  "find the kernel of User-Mode Linux: %s is not there; install the "
				  "package user-mode-linux",
				  program);
	DIR *d = opendir(modules);

	for (const struct dirent *entry; d && (entry = readdir(d));) {
		if (entry->d_name[0] == '.')
			continue;
		free(version);
		version = xstrdup(entry->d_name);
		count++;
	}
	if (d)
		(void)closedir(d); /* read side */
	/* The program does not say its version without being run. */
	if (count != 1 || !version)
		return error_text(e, ENOENT,
				  "find the modules of User-Mode Linux: %zu folders in %s; expected one",
				  count, modules);
	*ret = (struct kernel) { .vmlinuz = root_host_path(root, w.canonical),
				 .modules = xasprintf("%s/%s", modules, version) };
	ret->version = TAKE_PTR(version); /* after it was used */
	return 0;
}

static int find(const struct root *root, const char *wanted, struct kernel *ret, struct report *report,
		struct error *e)
{
	struct utsname u;

	if (str_ends(wanted, ".deb"))
		return find_in_package(wanted, ret, report, e);
	if (streq(wanted, "uml"))
		return find_uml(root, ret, e);
	if (strchr(wanted, '/'))
		return find_image(root, wanted, ret, e);
	if (!streq(wanted, "running"))
		return find_installed(root, wanted, "the", ret, e);
	if (uname(&u) < 0)
		return error_errno(e, errno, "ask for the running kernel's version");
	return find_installed(root, u.release, "the running", ret, e);
}

int kernel_find(const struct root *root, const char *wanted, struct kernel *ret, struct report *report,
		struct error *e)
{
	_cleanup_(kernel) struct kernel k = { 0 };
	int r = find(root, wanted, &k, report, e);

	if (r == 0)
		r = kernel_config_find(root, k.version, k.vmlinuz, k.modules, &k.config, e);
	if (r < 0)
		return r;
	*ret = k;
	k = (struct kernel) { 0 };
	return 0;
}
