#include "image/draft.h"

#include "base/fs.h"
#include "base/parallel.h"
#include "image/budget.h"
#include "image/initrd.h"
#include "image/microcode.h"
#include "image/pack.h"
#include "image/ram.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

void image_result_free(struct image_result *r)
{
	free(r->kernel_version);
	strlist_free(&r->secrets);
	strlist_free(&r->promises);
	*r = (struct image_result) { 0 };
}

static int write_kernel(struct image_draft *d, struct outfile *out, struct error *e)
{
	_cleanup_(fd) int in = open(d->kernel.vmlinuz, O_RDONLY | O_CLOEXEC);

	if (in < 0)
		return error_errno(e, errno, "open %s", d->kernel.vmlinuz);
	for (;;) {
		ssize_t n = sendfile(out->fd, in, NULL, 1 << 24);

		if (n < 0)
			return error_errno(e, errno, "copy %s to %s", d->kernel.vmlinuz, out->shown);
		if (n == 0) {
			flush_begin(out->fd);
			return 0;
		}
		d->result.kernel_size += (uint64_t)n;
	}
}

/* Before the first byte of the first file: a build that cannot end well ends here. */
static int check_space(const struct image_draft *d, const char *outdir, const struct outfile *out,
		       struct error *e)
{
	_cleanup_(free) char *what = xasprintf("the image in %s", outdir);
	struct stat st;

	if (stat(d->kernel.vmlinuz, &st) < 0)
		return error_errno(e, errno, "open %s", d->kernel.vmlinuz);
	return outfile_check_space(out, what, (uint64_t)st.st_size + initrd_least_space(d), e);
}

/* What follows from the sizes of kernel, initrd and tree. */
static int take_totals(struct image_draft *d, struct error *e)
{
	d->result.unpacked_size = d->totals.content;
	d->result.ram_needed = ram_needed(d->result.kernel_size, d->result.initrd_size, d->totals.memory);
	return budget_check(d, e);
}

/* In front of everything else; after the boot it lies in the rescue system's RAM as well. */
static int write_microcode(struct image_draft *d, struct outfile *out, uint64_t *ret_size, struct error *e)
{
	_cleanup_(microcode) struct microcode m = { 0 };

	if (d->choice.way == BOOT_CLASSIC && !streq(d->request->conf->microcode, "no"))
		return error_text(
			e, ENOTSUP,
			"microcode = %s: nothing can lie in front of a classic %s initrd; use format = cpio",
			d->request->conf->microcode, d->request->conf->format);
	int r = microcode_make(&d->root, d->request->conf->microcode, &m, d->report, e);

	if (r < 0)
		return r;
	*ret_size = m.archive.len;
	r = write_all(out->fd, m.archive.data, m.archive.len);
	return r < 0 ? error_errno(e, -r, "write %s", out->shown) : 0;
}

static int write_initrd(struct image_draft *d, struct outfile *out, struct error *e)
{
	struct stat st;
	uint64_t early = 0;
	int r = write_microcode(d, out, &early, e);

	if (r == 0)
		r = initrd_write(d, out, &d->totals, e);
	if (r < 0)
		return r;
	if (fstat(out->fd, &st) < 0)
		return error_errno(e, errno, "write %s", out->shown);
	d->totals.content += early;
	d->totals.memory += early;
	d->result.initrd_size = (uint64_t)st.st_size;
	return 0;
}

static int write_list(struct image_draft *d, struct outfile *out, struct error *e)
{
	_cleanup_(strbuf) struct strbuf text = { 0 };

	tree_list(&d->tree, &text);
	int r = write_all(out->fd, text.data, text.len);

	return r < 0 ? error_errno(e, -r, "write %s", out->shown) : 0;
}

/* The longest first: while it is compressed another thread copies the kernel. */
static const struct {
	const char *name;
	int (*write)(struct image_draft *, struct outfile *, struct error *);
} outputs[] = { { "initrd.img", write_initrd }, { "vmlinuz", write_kernel }, { "tree.list", write_list } };
enum { output_count = sizeof(outputs) / sizeof(*outputs) };

struct writing {
	struct image_draft *draft;
	struct outfile files[output_count];
	int results[output_count];
	struct error errors[output_count];
};

static int open_outputs(struct writing *w, const char *outdir, struct error *e)
{
	int r = mkdir_parents_at(AT_FDCWD, outdir, 0755, e);

	for (size_t i = 0; r == 0 && i < output_count; i++) {
		_cleanup_(free) char *path = xasprintf("%s/%s", outdir, outputs[i].name);
		bool secret = w->draft->result.holds_secrets && outputs[i].write == write_initrd;

		r = outfile_open(AT_FDCWD, path, secret ? 0600 : 0644, &w->files[i], e);
	}
	return r < 0 ? r : check_space(w->draft, outdir, &w->files[0], e);
}

static void write_one(void *user, size_t i, unsigned thread)
{
	struct writing *w = user;

	(void)thread; /* nothing is kept from one to the next */
	w->results[i] = outputs[i].write(w->draft, &w->files[i], &w->errors[i]);
}

static int write_outputs(struct writing *w, struct error *e)
{
	parallel_run(output_count, write_one, w);
	for (size_t i = 0; i < output_count; i++) {
		if (w->results[i] < 0 && e)
			*e = w->errors[i];
		if (w->results[i] < 0)
			return w->results[i];
	}
	return 0;
}

static int output_phase(struct image_draft *d, const char *outdir, struct error *e)
{
	struct writing w = { .draft = d };

	for (size_t i = 0; i < output_count; i++)
		w.files[i] = (struct outfile)OUTFILE_NONE;
	int r = open_outputs(&w, outdir, e);

	if (r == 0)
		r = write_outputs(&w, e);
	if (r == 0)
		r = take_totals(d, e);
	if (r == 0)
		r = outfile_commit_all(w.files, output_count, e);
	for (size_t i = 0; i < output_count; i++)
		outfile_abort(&w.files[i]);
	return r;
}

int image_pack(struct image_draft *d, const char *outdir, struct image_result *ret, struct error *e)
{
	int r = output_phase(d, outdir, e);

	if (r < 0)
		return r;
	draft_end_phase(d, "pack");
	*ret = d->result;
	d->result = (struct image_result) { 0 };
	return 0;
}

/* Microcode and a compressed archive. */
static int guess_cpio(struct image_draft *d, struct error *e)
{
	const struct recovery_conf *c = d->request->conf;
	_cleanup_(microcode) struct microcode m = { 0 };
	int r = microcode_make(&d->root, c->microcode, &m, d->report, e);

	if (r == 0)
		r = draft_weigh(d, e);
	if (r == 0)
		r = weigh_guess(&d->tree, &d->weights, compressor_find(c->compress, NULL), c->level,
				&d->result.initrd_size, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < d->tree.count; i++)
		pack_totals_add(&d->totals, d->tree.entries[i],
				d->tree.entries[i]->same_as ? 0 : d->tree.entries[i]->size);
	d->result.initrd_size += m.archive.len;
	d->totals.content += m.archive.len;
	d->totals.memory += m.archive.len;
	return 0;
}

/* The image of a file system is packed for its size and thrown away. */
static int pack_for_size(struct image_draft *d, struct error *e)
{
	_cleanup_(tempdir) struct tempdir temp = TEMPDIR_NONE;
	_cleanup_(outfile) struct outfile out = OUTFILE_NONE;
	int r = tempdir_make(&temp, e);

	if (r < 0)
		return r;
	_cleanup_(free) char *path = xasprintf("%s/initrd.img", temp.path);
	_cleanup_(free) char *what = xasprintf("the image in %s, for its size", temp.path);

	r = outfile_open(AT_FDCWD, path, 0600, &out, e);
	if (r == 0)
		r = outfile_check_space(&out, what, initrd_least_space(d), e);
	return r < 0 ? r : write_initrd(d, &out, e);
}

int image_guess(struct image_draft *d, struct image_result *ret, struct error *e)
{
	struct stat st;

	if (stat(d->kernel.vmlinuz, &st) < 0)
		return error_errno(e, errno, "read %s", d->kernel.vmlinuz);
	d->result.kernel_size = (uint64_t)st.st_size;
	int r = d->choice.way == BOOT_CPIO ? guess_cpio(d, e) : pack_for_size(d, e);

	if (r == 0)
		r = take_totals(d, e);
	if (r < 0)
		return r;
	draft_end_phase(d, "guess");
	*ret = d->result;
	d->result = (struct image_result) { 0 };
	return 0;
}

int image_parameters(const char *image_dir, char **ret, struct error *e)
{
	_cleanup_(free) char *path = xasprintf("%s/initrd.img", image_dir);

	return initrd_parameters(path, ret, e);
}

int image_build(const struct image_request *request, const char *outdir, struct image_result *ret,
		struct report *report, struct error *e)
{
	_cleanup_(image_draft) struct image_draft *d = NULL;
	int r = image_draft(request, &d, report, e);

	return r < 0 ? r : image_pack(d, outdir, ret, e);
}
