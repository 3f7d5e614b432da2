#include "cmd/commands.h"
#include "cmd/sums.h"

#include "image/image.h"

#include <errno.h>
#include <jansson.h>

enum { OPTION_FORMAT = CMD_FIRST_OWN, OPTION_COMPRESS, OPTION_DRY_RUN };

static void print_text(const struct image_result *r, const char *outdir, bool verbose)
{
	char kernel[SIZE_TEXT_MAX], initrd[SIZE_TEXT_MAX], unpacked[SIZE_TEXT_MAX], ram[SIZE_TEXT_MAX];

	printf("%s/vmlinuz     %10s  Linux %s\n", outdir, format_size(r->kernel_size, kernel),
	       r->kernel_version);
	printf("%s/initrd.img  %10s  %zu files, %s unpacked\n", outdir, format_size(r->initrd_size, initrd),
	       r->files, format_size(r->unpacked_size, unpacked));
	printf("%s/tree.list   why each file is in it\n", outdir);
	printf("needs %s of RAM; made in", format_size(r->ram_needed, ram));
	double total = 0;

	for (size_t i = 0; i < r->phase_count; i++)
		total += r->phases[i].seconds;
	printf(" %.2f s (", total);
	for (size_t i = 0; i < r->phase_count; i++)
		printf("%s%s %.2f", i ? ", " : "", r->phases[i].name, r->phases[i].seconds);
	printf(")\n");
	for (size_t i = 0; verbose && i < r->promises.count; i++)
		printf("the image %s\n", r->promises.items[i]);
	for (size_t i = 0; i < r->secrets.count; i++)
		printf("secret inside: %s; only its owner can read initrd.img\n", r->secrets.items[i]);
}

/* `outdir` NULL: nothing was written, and the initrd's size is a guess. */
static int print_json(struct cmd *c, const struct image_result *r, const char *outdir)
{
	struct error e;
	json_t *phases = json_object(), *secrets = json_array(), *promises = json_array();

	for (size_t i = 0; i < r->phase_count; i++)
		(void)json_object_set_new(phases, r->phases[i].name, json_real(r->phases[i].seconds));
	for (size_t i = 0; i < r->secrets.count; i++)
		(void)json_array_append_new(secrets, json_string(r->secrets.items[i]));
	for (size_t i = 0; i < r->promises.count; i++)
		(void)json_array_append_new(promises, json_string(r->promises.items[i]));
	/* A member that could not be made makes json_pack fail, and with it json_dumpf. */
	json_t *all = json_pack("{s:s?, s:b, s:s, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o}", "folder", outdir,
				"guessed", !outdir, "kernel", r->kernel_version, "kernel_size",
				(json_int_t)r->kernel_size, "initrd_size", (json_int_t)r->initrd_size,
				"unpacked_size", (json_int_t)r->unpacked_size, "ram_needed",
				(json_int_t)r->ram_needed, "files", (json_int_t)r->files, "seconds", phases,
				"secrets", secrets, "promises", promises);
	int failed = json_dumpf(all, stdout, JSON_INDENT(2));

	json_decref(all);
	if (failed) {
		(void)error_errno(&e, EIO, "write the result as JSON");
		return cmd_failed(c, &e);
	}
	printf("\n");
	return cmd_done(c);
}

/* --- without packing --- */

static void print_guess(const struct image_result *r, const struct image_sums *sums)
{
	char kernel[SIZE_TEXT_MAX], initrd[SIZE_TEXT_MAX], unpacked[SIZE_TEXT_MAX], ram[SIZE_TEXT_MAX];

	printf("vmlinuz     would have %s, Linux %s\n", format_size(r->kernel_size, kernel),
	       r->kernel_version);
	printf("initrd.img  would have about %s, with %zu files, %s unpacked\n",
	       format_size(r->initrd_size, initrd), r->files, format_size(r->unpacked_size, unpacked));
	printf("needs about %s of RAM\n\n", format_size(r->ram_needed, ram));
	sums_print(sums, "profile");
	for (size_t i = 0; i < r->secrets.count; i++)
		printf("secret inside: %s\n", r->secrets.items[i]);
}

static int guess(struct cmd *c, const struct image_request *request)
{
	_cleanup_(image_draft) struct image_draft *draft = NULL;
	_cleanup_(image_result) struct image_result result = { 0 };
	_cleanup_(image_sums) struct image_sums sums = { 0 };
	struct error e;

	if (image_draft(request, &draft, &c->report, &e) < 0 ||
	    image_sums(draft, BY_PROFILE, &sums, &e) < 0 || image_guess(draft, &result, &e) < 0)
		return cmd_failed(c, &e);
	if (c->json)
		return print_json(c, &result, NULL);
	print_guess(&result, &sums);
	return cmd_done(c);
}

/* --- the command --- */

struct options {
	const char *kernel, *format, *compress, *outdir; /* NULL: not given */
	bool dry_run;
};

/* `--compress NAME[:LEVEL]`. A name alone takes that compressor's default level. */
static int set_compress(struct recovery_conf *conf, const char *given, struct error *e)
{
	const char *colon = strchr(given, ':');
	_cleanup_(free) char *name = xstrndup(given, colon ? (size_t)(colon - given) : strlen(given));
	int r = recovery_conf_set(conf, "image", "compress", name, e);

	return r < 0 ? r : recovery_conf_set(conf, "image", "level", colon ? colon + 1 : "0", e);
}

static int build(struct cmd *c, const struct options *o)
{
	_cleanup_(recovery_conf) struct recovery_conf conf = { 0 };
	_cleanup_(image_result) struct image_result result = { 0 };
	const char *outdir = o->outdir;
	struct error e;

	if (recovery_conf_load(c->conf_path, &conf, &e) < 0)
		return cmd_failed(c, &e);
	if (o->format && recovery_conf_set(&conf, "image", "format", o->format, &e) < 0)
		return cmd_usage(c, "--format: %s", e.text);
	if (o->compress && set_compress(&conf, o->compress, &e) < 0)
		return cmd_usage(c, "--compress: %s", e.text);
	const struct image_request request = {
		.conf = &conf, .profiles = &c->profiles, .kernel = o->kernel, .root = "/"
	};

	if (o->dry_run)
		return guess(c, &request);
	if (image_build(&request, outdir, &result, &c->report, &e) < 0)
		return cmd_failed(c, &e);
	if (c->json)
		return print_json(c, &result, outdir);
	if (c->report.verbosity > VERBOSITY_QUIET)
		print_text(&result, outdir, c->report.verbosity == VERBOSITY_VERBOSE);
	return cmd_done(c);
}

int cmd_build(int argc, char *argv[])
{
	static const struct option options[] = { { "kernel", required_argument, NULL, 'k' },
						 { "output", required_argument, NULL, 'o' },
						 { "format", required_argument, NULL, OPTION_FORMAT },
						 { "compress", required_argument, NULL, OPTION_COMPRESS },
						 { "dry-run", no_argument, NULL, OPTION_DRY_RUN },
						 CMD_OPTIONS_LONG };
	_cleanup_(cmd) struct cmd c;
	struct options o = { 0 };
	int option, exit_code;

	cmd_begin(&c, argv[0]);
	while ((option = getopt_long(argc, argv, "k:o:" CMD_OPTIONS_SHORT, options, NULL)) != -1)
		switch (option) {
		case 'k':
			o.kernel = optarg;
			break;
		case 'o':
			o.outdir = optarg;
			break;
		case OPTION_FORMAT:
			o.format = optarg;
			break;
		case OPTION_COMPRESS:
			o.compress = optarg;
			break;
		case OPTION_DRY_RUN:
			o.dry_run = true;
			break;
		default:
			if (!cmd_option(&c, option, &exit_code))
				return exit_code;
		}
	if (optind < argc)
		return cmd_usage(&c, "unexpected argument '%s'", argv[optind]);
	if (!o.outdir && !o.dry_run)
		return cmd_usage(&c, "where to? -o DIR is missing");
	return build(&c, &o);
}
