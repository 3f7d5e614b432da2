#include "image/kernel.h"

#include "base/fs.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/utsname.h>

/* Offsets of the x86 boot header: Linux, Documentation/arch/x86/boot.rst. */
enum {
	boot_magic_at = 0x202, /* "HdrS" */
	boot_version_at = 0x20e, /* u16: where the version string is, less 0x200 */
	boot_header_end = 0x210,
	boot_version_max = 256,
};

void kernel_free(struct kernel *k)
{
	free(k->version);
	free(k->vmlinuz);
	free(k->modules);
	*k = (struct kernel) { 0 };
}

int kernel_image_version(const char *path, char **ret, struct error *e)
{
	unsigned char header[boot_header_end];
	char text[boot_version_max + 1] = { 0 };
	_cleanup_(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return error_errno(e, errno, "open %s", path);
	ssize_t n = pread_full(fd, header, sizeof(header), 0);

	if (n < 0)
		return error_errno(e, (int)-n, "read %s", path);
	if (n < boot_header_end || memcmp(header + boot_magic_at, "HdrS", 4) != 0)
		return error_text(e, ENOEXEC, "read %s: not an x86 kernel (bzImage)", path);
	unsigned at = header[boot_version_at] | (unsigned)header[boot_version_at + 1] << 8;

	n = at ? pread_full(fd, text, boot_version_max, (off_t)at + 0x200) : 0;
	if (n < 0)
		return error_errno(e, (int)-n, "read %s", path);
	text[n] = '\0';
	size_t len = strcspn(text, " ");

	for (size_t i = 0; i < len; i++)
		if (!isgraph((unsigned char)text[i]) || text[i] == '/')
			len = 0;
	if (!len || text[len] != ' ')
		return error_text(e, ENOEXEC, "read %s: no version in the kernel's header", path);
	*ret = xstrndup(text, len);
	return 0;
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

		if (is_folder(beside))
			return TAKE_PTR(beside);
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
		*ret = (struct kernel) { .version = xstrdup(version),
					 .vmlinuz = root_host_path(root, w.canonical),
					 .modules = find_modules(root, version, NULL) };
		return 0;
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

int kernel_find(const struct root *root, const char *wanted, struct kernel *ret, struct report *report,
		struct error *e)
{
	struct utsname u;

	if (str_ends(wanted, ".deb"))
		return find_in_package(wanted, ret, report, e);
	if (strchr(wanted, '/'))
		return find_image(root, wanted, ret, e);
	if (!streq(wanted, "running"))
		return find_installed(root, wanted, "the", ret, e);
	if (uname(&u) < 0)
		return error_errno(e, errno, "ask for the running kernel's version");
	return find_installed(root, u.release, "the running", ret, e);
}
