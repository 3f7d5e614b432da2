#include "image/microcode.h"

#include "base/fs.h"
#include "image/decompress.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>

enum { max_cpuinfo = 16 << 20, max_file = 64 << 20 };

/* Intel's files are named after family, model and stepping; AMD's hold a family each, the oldest one all
 * before 15h. */
static const struct vendor {
	const char *id; /* as /proc/cpuinfo has it, and the kernel looks for it */
	const char *folder;
	const char *pattern; /* of a file's name (glob(7)), without what a compressor added */
} vendors[] = {
	{ "GenuineIntel", "lib/firmware/intel-ucode", "[0-9a-f][0-9a-f]-[0-9a-f][0-9a-f]-[0-9a-f][0-9a-f]*" },
	{ "AuthenticAMD", "lib/firmware/amd-ucode", "microcode_amd*.bin" },
};
enum { vendor_count = sizeof(vendors) / sizeof(*vendors) };

void microcode_free(struct microcode *m)
{
	strbuf_free(&m->archive);
	strlist_free(&m->files);
	*m = (struct microcode) { 0 };
}

/* --- this machine's CPU --- */

/* The value of "NAME : VALUE" in the first CPU's lines; "" when there is none. The caller frees. */
static char *find_field(const char *cpuinfo, const char *name)
{
	for (const char *line = cpuinfo; *line && *line != '\n';) {
		const char *rest = str_after(line, name);
		const char *colon = rest ? rest + strspn(rest, " \t") : NULL;
		size_t len = strcspn(line, "\n");

		if (colon && *colon == ':') {
			_cleanup_(free) char *value = xstrndup(colon + 1, (size_t)(line + len - colon - 1));

			return xstrdup(str_strip(value));
		}
		line += len + (line[len] == '\n');
	}
	return xstrdup("");
}

static unsigned find_number(const char *cpuinfo, const char *name)
{
	_cleanup_(free) char *text = find_field(cpuinfo, name);
	uint64_t n;

	return parse_u64(text, &n) == 0 && n <= 0xff ? (unsigned)n : 0;
}

/* The pattern of the file for this CPU; NULL when it is another vendor's. The caller frees. */
static char *pattern_for_cpu(const char *cpuinfo, const struct vendor *vendor)
{
	_cleanup_(free) char *id = find_field(cpuinfo, "vendor_id");
	unsigned family = find_number(cpuinfo, "cpu family");

	if (!streq(id, vendor->id))
		return NULL;
	if (streq(id, "GenuineIntel"))
		return xasprintf("%02x-%02x-%02x*", family, find_number(cpuinfo, "model"),
				 find_number(cpuinfo, "stepping"));
	return family < 0x15 ? xstrdup("microcode_amd.bin") : xasprintf("microcode_amd_fam%02xh.bin", family);
}

/* --- the files --- */

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static bool is_match(const char *name, const char *pattern)
{
	size_t len = strlen(name) - (str_ends(name, ".xz") ? 3 : str_ends(name, ".zst") ? 4 : 0);
	_cleanup_(free) char *plain = xstrndup(name, len);

	return fnmatch(pattern, plain, 0) == 0;
}

static int add_file(const struct root *root, const char *path, struct strbuf *to, struct error *e)
{
	_cleanup_(walk) struct walk w = { 0 };
	int r = root_walk(root, NULL, path, &w, e);

	if (r < 0)
		return r;
	_cleanup_(free) char *source = root_host_path(root, w.canonical);
	_cleanup_(free) char *data = NULL;
	size_t len;

	r = read_file_at(AT_FDCWD, source, max_file, &data, &len, e);
	if (r == 0 && decompress_format(data, len))
		r = decompress_whole(data, len, source, max_file, to, e);
	else if (r == 0)
		strbuf_add(to, data, len);
	return r;
}

/* Adds what the vendor's folder has of this pattern, by name. Returns 1, or 0 when there is no such folder. */
static int add_vendor(const struct root *root, const struct vendor *vendor, const char *pattern,
		      struct strbuf *to, struct error *e)
{
	_cleanup_(walk) struct walk w = { 0 };
	struct error ignored;
	struct dirent **names;

	if (root_walk(root, NULL, vendor->folder, &w, &ignored) < 0)
		return 0;
	_cleanup_(free) char *folder = root_host_path(root, w.canonical);
	int count = scandir(folder, &names, NULL, by_name), r = 0;

	if (count < 0)
		return error_errno(e, errno, "read folder %s", folder);
	for (int i = 0; i < count; i++) {
		_cleanup_(free) char *path = xasprintf("%s/%s", vendor->folder, names[i]->d_name);

		if (r == 0 && is_match(names[i]->d_name, pattern))
			r = add_file(root, path, to, e);
		free(names[i]);
	}
	free(names);
	return r < 0 ? r : 1;
}

/* --- the archive --- */

/* The format (Linux: Documentation/driver-api/early-userspace/buffer-format.rst) by hand: libarchive has no way
 * to pad a name, and CPUs want their microcode at an address that 16 divides. */
static void add_entry(struct strbuf *to, const char *name, unsigned mode, const void *data, size_t len)
{
	enum { header = 110, alignment = 16 };
	static const char zeros[alignment];
	size_t name_size = strlen(name) + 1;

	if (len)
		name_size += (alignment - (to->len + header + name_size) % alignment) % alignment;
	strbuf_printf(to, "070701%08X%08X%08X%08X%08X%08X%08zX%08X%08X%08X%08X%08zX%08X", 0U, mode, 0U, 0U,
		      1U, 0U, len, 0U, 0U, 0U, 0U, name_size, 0U);
	strbuf_add(to, name, strlen(name));
	strbuf_add(to, zeros, name_size - strlen(name));
	strbuf_add(to, zeros, (4 - to->len % 4) % 4);
	strbuf_add(to, data, len);
	strbuf_add(to, zeros, (4 - to->len % 4) % 4);
}

static void add_archive(const struct strbuf content[vendor_count], struct microcode *m)
{
	static const char *const folders[] = { "kernel", "kernel/x86", "kernel/x86/microcode" };
	enum { block = 512 };
	static const char zeros[block];

	for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++)
		add_entry(&m->archive, folders[i], S_IFDIR | 0755, "", 0);
	for (size_t i = 0; i < vendor_count; i++) {
		_cleanup_(free) char *name = xasprintf("kernel/x86/microcode/%s.bin", vendors[i].id);

		if (content[i].len == 0)
			continue;
		add_entry(&m->archive, name, S_IFREG | 0644, content[i].data, content[i].len);
		strlist_add(&m->files, name);
	}
	add_entry(&m->archive, "TRAILER!!!", 0, "", 0);
	strbuf_add(&m->archive, zeros, (block - m->archive.len % block) % block);
}

static int make(const struct root *root, const char *cpuinfo, struct strbuf content[vendor_count],
		struct microcode *ret, struct report *report, struct error *e)
{
	int folders = 0;
	size_t size = 0;

	for (size_t i = 0; i < vendor_count; i++) {
		_cleanup_(free) char *own = cpuinfo ? pattern_for_cpu(cpuinfo, &vendors[i]) : NULL;

		if (cpuinfo && !own)
			continue;
		int r = add_vendor(root, &vendors[i], own ? own : vendors[i].pattern, &content[i], e);

		if (r < 0)
			return r;
		folders += r;
		size += content[i].len;
	}
	if (!folders)
		return error_text(
			e, ENOENT,
			"find microcode for %s in %s/lib/firmware: there is none; install intel-microcode "
			"or amd64-microcode, or set microcode = no",
			cpuinfo ? "this CPU" : "any CPU", root->path);
	if (size)
		add_archive(content, ret);
	else
		report_warn(report, "there is no microcode for this CPU in /lib/firmware: going without");
	return 0;
}

int microcode_make(const struct root *root, const char *which, struct microcode *ret, struct report *report,
		   struct error *e)
{
	struct strbuf content[vendor_count] = { 0 };
	_cleanup_(microcode) struct microcode m = { 0 };
	_cleanup_(free) char *cpuinfo = NULL;
	int r = 0;

	if (streq(which, "no"))
		return 0;
	if (streq(which, "machine"))
		r = read_file_at(root->fd, "proc/cpuinfo", max_cpuinfo, &cpuinfo, NULL, e);
	if (r == 0)
		r = make(root, cpuinfo, content, &m, report, e);
	for (size_t i = 0; i < vendor_count; i++)
		strbuf_free(&content[i]);
	if (r < 0)
		return r;
	*ret = m;
	m = (struct microcode) { 0 };
	return 0;
}
