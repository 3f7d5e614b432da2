#include "image/image.h"

#include "base/fs.h"
#include "image/compress.h"
#include "image/generate.h"
#include "image/overlay.h"
#include "image/pack.h"
#include "image/select.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#ifndef LIFEBOAT_DATADIR
#define LIFEBOAT_DATADIR "/usr/share/lifeboat"
#endif

/* Of every file in the image, unless SOURCE_DATE_EPOCH says otherwise: the first day that FAT and
 * the compressors' headers can tell, 1980-01-01. */
static const time_t default_mtime = 315532800;

/* RAM beside the two copies of the tree: an unpacked kernel is about four times its file; the rest
 * is what it and the tools of a recovery work with. */
enum { kernel_unpacked = 4, working_memory = 96 << 20 };

void image_result_free(struct image_result *r)
{
	free(r->kernel_version);
	strlist_free(&r->secrets);
	*r = (struct image_result) { 0 };
}

static bool is_datadir(const char *path)
{
	_cleanup_(free) char *profile = xasprintf("%s/profiles/minimal.conf", path);

	return access(profile, F_OK) == 0;
}

char *image_find_datadir(void)
{
	char self[PATH_MAX];
	const char *given = getenv("LIFEBOAT_DATADIR");
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (given && *given)
		return xstrdup(given);
	/* CHECKOUT/build/lifeboat, or a test at CHECKOUT/build/tests/unit/NAME */
	self[n > 0 ? n : 0] = '\0';
	for (int up = 0; up < 4; up++) {
		char *slash = strrchr(self, '/');

		if (!slash || slash == self)
			break;
		*slash = '\0';
		if (up > 0 && is_datadir(self))
			return xstrdup(self);
	}
	return is_datadir(LIFEBOAT_DATADIR) ? xstrdup(LIFEBOAT_DATADIR) : NULL;
}

/* --- phases --- */

/* Everything that lives as long as a build. */
struct build {
	const struct image_request *request;
	struct report *report;
	struct image_result result;
	struct timespec phase_begun;
	time_t created, mtime;
	char *datadir;
	struct profiles profiles;
	struct root root;
	struct kernel kernel;
	struct tree tree;
	struct tools tools;
	struct modules modules;
	struct selection selection;
	struct pack_totals totals;
};

static void build_free(struct build *b)
{
	image_result_free(&b->result);
	free(b->datadir);
	profiles_free(&b->profiles);
	selection_free(&b->selection);
	modules_close(&b->modules);
	tools_close(&b->tools);
	tree_free(&b->tree);
	kernel_free(&b->kernel);
	root_close(&b->root);
}
DEFINE_CLEANUP(build, struct build, build_free)

static void end_phase(struct build *b, const char *name)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail with a valid clock */
	double seconds = (double)(now.tv_sec - b->phase_begun.tv_sec) +
			 (double)(now.tv_nsec - b->phase_begun.tv_nsec) / 1e9;

	b->result.phases[b->result.phase_count++] = (struct image_phase) { name, seconds };
	b->phase_begun = now;
}

static int read_times(struct build *b, struct error *e)
{
	const char *epoch = getenv("SOURCE_DATE_EPOCH");
	uint64_t seconds;

	b->created = time(NULL);
	b->mtime = default_mtime;
	if (!epoch || !*epoch)
		return 0;
	/* newc has 32 bits for it */
	if (parse_u64(epoch, &seconds) < 0 || seconds > UINT32_MAX)
		return error_text(e, EINVAL, "SOURCE_DATE_EPOCH=%s: not a number of seconds since 1970",
				  epoch);
	b->created = b->mtime = (time_t)seconds;
	return 0;
}

static int check_conf(const struct recovery_conf *c, struct error *e)
{
	const char *known;

	if (!streq(c->format, "cpio"))
		return error_text(e, EINVAL, "format '%s' is not known; expected cpio", c->format);
	if (!compressor_find(c->compress, &known))
		return error_text(e, EINVAL, "compress = %s: expected %s", c->compress, known);
	return 0;
}

static int select_phase(struct build *b, struct error *e)
{
	const struct image_request *q = b->request;
	const struct strlist *names = q->profiles && q->profiles->count ? q->profiles : &q->conf->profiles;
	int r = check_conf(q->conf, e);

	if (r == 0)
		r = read_times(b, e);
	if (r < 0)
		return r;
	b->datadir = q->datadir ? xstrdup(q->datadir) : image_find_datadir();
	if (!b->datadir)
		return error_text(e, ENOENT,
				  "find overlay/ and profiles/: neither beside this program nor in %s; "
				  "set LIFEBOAT_DATADIR",
				  LIFEBOAT_DATADIR);
	_cleanup_(free) char *folder = xasprintf("%s/profiles", b->datadir);

	r = profiles_load(folder, names, &b->profiles, e);
	if (r == 0)
		r = root_open(q->root ? q->root : "/", &b->root, e);
	return r;
}

static int userland_phase(struct build *b, struct error *e)
{
	int r = tools_open(&b->root, &b->tree, b->report, &b->tools, e);

	b->selection = (struct selection) { .profiles = &b->profiles,
					    .tools = &b->tools,
					    .modules = &b->modules,
					    .tree = &b->tree,
					    .report = b->report };
	return r < 0 ? r : select_userland(&b->selection, e);
}

static int modules_phase(struct build *b, struct error *e)
{
	int r = modules_open(&b->root, &b->kernel, &b->tree, b->report, &b->modules, e);

	return r < 0 ? r : select_modules(&b->selection, e);
}

/* What is ours and the site's, on top of what the machine has. */
static int overlay_phase(struct build *b, struct error *e)
{
	const struct generator g = { .conf = b->request->conf,
				     .root = &b->root,
				     .kernel = &b->kernel,
				     .modules = &b->modules,
				     .tree = &b->tree,
				     .report = b->report,
				     .loaded = &b->selection.loaded,
				     .created = b->created };
	_cleanup_(free) char *ours = xasprintf("%s/overlay", b->datadir);
	int r = generate_files(&g, &b->result.secrets, e);

	if (r == 0)
		r = overlay_add(&b->tools, ours, true, &b->result.secrets, e);
	if (r == 0 && b->request->conf->overlay)
		r = overlay_add(&b->tools, b->request->conf->overlay, false, &b->result.secrets, e);
	if (r == 0 && !tree_find(&b->tree, "init"))
		r = error_text(e, ENOENT, "make the image: %s has no init", ours);
	b->result.holds_secrets = b->result.secrets.count > 0;
	tree_sort(&b->tree);
	b->result.files = b->tree.count;
	return r;
}

/* --- output --- */

static int write_kernel(struct build *b, struct outfile *out, struct error *e)
{
	_cleanup_(fd) int in = open(b->kernel.vmlinuz, O_RDONLY | O_CLOEXEC);

	if (in < 0)
		return error_errno(e, errno, "open %s", b->kernel.vmlinuz);
	for (;;) {
		ssize_t n = sendfile(out->fd, in, NULL, 1 << 24);

		if (n < 0)
			return error_errno(e, errno, "copy %s to %s", b->kernel.vmlinuz, out->shown);
		if (n == 0)
			return 0;
		b->result.kernel_size += (uint64_t)n;
	}
}

static int write_initrd(struct build *b, struct outfile *out, struct error *e)
{
	const struct recovery_conf *c = b->request->conf;
	const struct pack_options options = { c->compress, c->level, b->mtime };
	struct stat st;
	int r = pack_tree(&b->tree, &options, out->fd, out->shown, &b->totals, b->report, e);

	if (r < 0)
		return r;
	if (fstat(out->fd, &st) < 0)
		return error_errno(e, errno, "write %s", out->shown);
	b->result.initrd_size = (uint64_t)st.st_size;
	b->result.unpacked_size = b->totals.content;
	if (c->max_initrd && b->result.initrd_size > c->max_initrd)
		return error_text(e, EFBIG, "make %s: it has %llu bytes, more than max-initrd = %llu allows",
				  out->shown, (unsigned long long)b->result.initrd_size,
				  (unsigned long long)c->max_initrd);
	return 0;
}

static int write_list(struct build *b, struct outfile *out, struct error *e)
{
	_cleanup_(strbuf) struct strbuf text = { 0 };

	tree_list(&b->tree, &text);
	int r = write_all(out->fd, text.data, text.len);

	return r < 0 ? error_errno(e, -r, "write %s", out->shown) : 0;
}

/* All three are complete and on disk before the first gets its name. */
static int commit(struct outfile *files, size_t count, struct error *e)
{
	for (size_t i = 0; i < count; i++)
		if (fsync(files[i].fd) < 0)
			return error_errno(e, errno, "write %s", files[i].shown);
	for (size_t i = 0; i < count; i++) {
		int r = outfile_commit(&files[i], e);

		if (r < 0)
			return r;
	}
	return 0;
}

static int output_phase(struct build *b, const char *outdir, struct error *e)
{
	static const struct {
		const char *name;
		int (*write)(struct build *, struct outfile *, struct error *);
	} outputs[] = { { "vmlinuz", write_kernel },
			{ "initrd.img", write_initrd },
			{ "tree.list", write_list } };
	enum { count = sizeof(outputs) / sizeof(*outputs) };
	struct outfile files[count] = { OUTFILE_NONE, OUTFILE_NONE, OUTFILE_NONE };
	int r = mkdir_parents_at(AT_FDCWD, outdir, 0755, e);

	for (size_t i = 0; r == 0 && i < count; i++) {
		_cleanup_(free) char *path = xasprintf("%s/%s", outdir, outputs[i].name);
		bool secret = b->result.holds_secrets && outputs[i].write == write_initrd;

		r = outfile_open(AT_FDCWD, path, secret ? 0600 : 0644, &files[i], e);
		if (r == 0)
			r = outputs[i].write(b, &files[i], e);
	}
	if (r == 0)
		r = commit(files, count, e);
	for (size_t i = 0; i < count; i++)
		outfile_abort(&files[i]);
	return r;
}

/* While the kernel unpacks, the compressed image and the tree are in RAM; later the init's copy of
 * the tree beside the first one. A tmpfs takes half of the RAM at most, so twice the tree is the
 * least in any case. */
static uint64_t ram_needed(const struct build *b)
{
	uint64_t tree = b->totals.memory,
		 larger = tree > b->result.initrd_size ? tree : b->result.initrd_size;

	return tree + larger + kernel_unpacked * b->result.kernel_size + working_memory;
}

int image_build(const struct image_request *request, const char *outdir, struct image_result *ret,
		struct report *report, struct error *e)
{
	_cleanup_(build) struct build b = { .request = request, .report = report, .root = ROOT_NONE };
	const char *wanted = request->kernel ? request->kernel : request->conf->kernel;

	(void)clock_gettime(CLOCK_MONOTONIC, &b.phase_begun); /* cannot fail with a valid clock */
	int r = select_phase(&b, e);

	if (r < 0)
		return r;
	end_phase(&b, "select");
	r = kernel_find(&b.root, wanted, &b.kernel, report, e);
	if (r < 0)
		return r;
	end_phase(&b, "kernel");
	r = userland_phase(&b, e);
	if (r < 0)
		return r;
	end_phase(&b, "tools");
	r = modules_phase(&b, e);
	if (r < 0)
		return r;
	end_phase(&b, "modules");
	r = overlay_phase(&b, e);
	if (r < 0)
		return r;
	end_phase(&b, "overlay");
	r = output_phase(&b, outdir, e);
	if (r < 0)
		return r;
	end_phase(&b, "pack");
	b.result.kernel_version = xstrdup(b.kernel.version);
	b.result.ram_needed = ram_needed(&b);
	*ret = b.result;
	b.result = (struct image_result) { 0 };
	return 0;
}
