#include "cmd/medium.h"

#include "base/digest.h"
#include "image/manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/utsname.h>

double medium_clock(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail with a valid clock */
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void medium_phase(struct medium *m, const char *name, double seconds)
{
	(void)json_array_append_new(
		m->phases, json_pack("{s:s, s:f}", "name", name, "seconds", seconds)); /* figures only */
}

void medium_free(struct medium *m)
{
	recovery_conf_free(&m->conf);
	tempdir_remove(&m->temp);
	image_result_free(&m->image);
	strbuf_free(&m->manifest);
	free(m->parameters);
	free(m->kernel_version);
	free(m->hostname);
	json_decref(m->phases);
}

static int build(struct cmd *c, const char *kernel, struct medium *m, struct error *e)
{
	const struct image_request request = {
		.conf = &m->conf, .profiles = &c->profiles, .kernel = kernel, .root = "/"
	};
	_cleanup_(image_draft) struct image_draft *draft = NULL;
	int r = tempdir_make(&m->temp, e);

	if (r == 0)
		r = image_draft(&request, &draft, &c->report, e);
	if (r == 0)
		r = image_manifest(draft, &m->manifest, e);
	if (r == 0)
		m->created = image_created(draft);
	if (r == 0)
		r = image_pack(draft, m->temp.path, &m->image, e);
	if (r < 0)
		return r;
	m->image_built = true;
	for (size_t i = 0; i < m->image.phase_count; i++)
		medium_phase(m, m->image.phases[i].name, m->image.phases[i].seconds);
	m->request.image_dir = m->temp.path;
	m->request.ram_needed = m->image.ram_needed;
	m->request.secret = m->image.holds_secrets;
	return 0;
}

/* An image that holds secrets was made for its owner's eyes only; so is the medium then. */
static int take(const char *image_dir, struct medium *m, struct error *e)
{
	_cleanup_(free) char *initrd = xasprintf("%s/initrd.img", image_dir);
	struct stat st;

	if (stat(initrd, &st) < 0)
		return error_errno(e, errno, "open %s", initrd);
	m->request.image_dir = image_dir;
	m->request.secret = (st.st_mode & (S_IRGRP | S_IROTH)) == 0;
	return image_folder_ram(image_dir, &m->request.ram_needed, e);
}

int medium_prepare(struct cmd *c, const char *image_dir, const char *kernel, struct medium *m,
		   struct error *e)
{
	struct utsname host;

	m->begun = medium_clock();
	m->phases = json_array();
	if (uname(&host) < 0)
		return error_errno(e, errno, "find this machine's name");
	m->hostname = xstrdup(host.nodename);
	int r = recovery_conf_load(c->conf_path, &m->conf, e);

	if (r == 0)
		r = image_dir ? take(image_dir, m, e) : build(c, kernel, m, e);
	if (r == 0)
		r = image_parameters(m->request.image_dir, &m->parameters, e);
	if (r < 0)
		return r;
	_cleanup_(free) char *vmlinuz = xasprintf("%s/vmlinuz", m->request.image_dir);

	m->kernel_version = media_kernel_version(AT_FDCWD, vmlinuz);
	m->request.conf = &m->conf;
	m->request.parameters = m->parameters;
	m->request.hostname = m->hostname;
	m->request.kernel_version = m->kernel_version;
	return 0;
}

static int print_json(struct cmd *c, const struct medium *m, const char *kind, const char *path,
		      const char *file, uint64_t size, struct error *e)
{
	_cleanup_(fd) int fd = open(file, O_RDONLY | O_CLOEXEC);
	char hash[DIGEST_HEX_SIZE];
	uint64_t len;

	if (fd < 0)
		return error_errno(e, errno, "open %s", file);
	int r = digest_fd(fd, file, hash, &len, e);

	if (r < 0)
		return r;
	json_t *o = json_pack("{s:s, s:s, s:I, s:s, s:s?, s:I, s:O, s:f}", "kind", kind, "path", path,
			      "bytes", (json_int_t)size, "sha256", hash, "kernel", m->kernel_version,
			      "ram_needed", (json_int_t)m->request.ram_needed, "phases", m->phases, "seconds",
			      medium_clock() - m->begun);
	_cleanup_(free) char *text = o ? json_dumps(o, JSON_INDENT(2) | JSON_REAL_PRECISION(3)) : NULL;

	json_decref(o);
	if (!text)
		return error_text(e, EINVAL, "%s: cannot be told in JSON", path);
	(void)printf("%s\n", text); /* cmd_done() looks */
	return cmd_done(c) == EXIT_DONE ? 0 : error_text(e, EIO, "write the result");
}

static void print_text(const struct medium *m, const char *kind, const char *path, uint64_t size)
{
	char text[SIZE_TEXT_MAX], initrd[SIZE_TEXT_MAX], ram[SIZE_TEXT_MAX];
	size_t i;
	json_t *phase;

	(void)printf("%s: %s, %s\n", path, kind, format_size(size, text));
	if (m->kernel_version)
		(void)printf("  kernel  %s\n", m->kernel_version);
	if (m->image_built)
		(void)printf("  initrd  %s, %zu files\n", format_size(m->image.initrd_size, initrd),
			     m->image.files);
	if (m->request.ram_needed)
		(void)printf("  RAM     %s or more in the machine\n",
			     format_size(m->request.ram_needed, ram));
	(void)printf("  time    ");
	json_array_foreach(m->phases, i, phase)(void)
		printf("%s %.1f s, ", json_string_value(json_object_get(phase, "name")),
		       json_real_value(json_object_get(phase, "seconds")));
	(void)printf("%.1f s in all\n", medium_clock() - m->begun);
	if (m->request.secret)
		(void)printf("  It holds secrets: keep it locked away.\n");
}

int medium_print(struct cmd *c, const struct medium *m, const char *kind, const char *path, const char *file,
		 uint64_t size, struct error *e)
{
	if (c->json)
		return print_json(c, m, kind, path, file, size, e);
	print_text(m, kind, path, size);
	return 0;
}
