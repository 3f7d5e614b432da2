#include "image/format.h"

#include "image/compress.h"

#include <ctype.h>

/* A driver that can mount the image. */
struct driver {
	const char *option; /* CONFIG_…; NULL ends the list */
	const char *module; /* also the type that mount(8) is told */
	const char *also; /* the classic way works only with this option too, or NULL */
};

struct format {
	const char *name; /* as in recovery.conf */
	struct driver drivers[3]; /* any of them is enough; none: cpio */
	bool compresses; /* by itself */
	int (*pack)(const struct tree *tree, const struct recovery_conf *conf, time_t mtime, int fd,
		    const char *shown, struct pack_totals *ret, struct report *report, struct error *e);
};

static int cramfs(const struct tree *tree, const struct recovery_conf *conf, time_t mtime, int fd,
		  const char *shown, struct pack_totals *ret, struct report *report, struct error *e)
{
	(void)conf; /* it is as large as it is … */
	(void)mtime; /* … and has no times */
	return pack_cramfs(tree, fd, shown, ret, report, e);
}

static int ext2(const struct tree *tree, const struct recovery_conf *conf, time_t mtime, int fd,
		const char *shown, struct pack_totals *ret, struct report *report, struct error *e)
{
	return pack_ext2(tree, conf->ext2_margin, mtime, fd, shown, ret, report, e);
}

static const struct format formats[] = {
	{ "cpio", { { NULL } }, false, NULL },
	{ "cramfs", { { "CONFIG_CRAMFS", "cramfs", NULL } }, true, cramfs },
	{ "ext2",
	  { { "CONFIG_EXT2_FS", "ext2", NULL }, { "CONFIG_EXT4_FS", "ext4", "CONFIG_EXT4_USE_FOR_EXT2" } },
	  false,
	  ext2 },
};
enum { format_count = sizeof(formats) / sizeof(*formats) };

void format_choice_free(struct format_choice *c)
{
	strlist_free(&c->modules);
	strlist_free(&c->types);
}

/* --- compressors --- */

static bool is_off(const struct kernel *kernel, const char *option)
{
	return kernel_config_get(&kernel->config, option) == KERNEL_OPTION_NO;
}

/* The option that keeps the kernel from unpacking it (the caller frees), or NULL. */
static char *missing_for_compressor(const struct kernel *kernel, const char *name)
{
	_cleanup_(free) char *option = xasprintf("CONFIG_RD_%s", name);

	if (streq(name, "none"))
		return NULL;
	for (char *c = option; *c; c++)
		*c = (char)toupper((unsigned char)*c);
	if (is_off(kernel, option))
		return TAKE_PTR(option);
	/* Ours have the filter for x86 code in them. */
	return streq(name, "xz") && is_off(kernel, "CONFIG_XZ_DEC_X86") ? xstrdup("CONFIG_XZ_DEC_X86") : NULL;
}

static int check_compressor(const struct recovery_conf *conf, const struct kernel *kernel, struct error *e)
{
	static const char *const all[] = { "zstd", "xz", "gzip", "lz4", "none" };
	_cleanup_(free) char *missing = missing_for_compressor(kernel, conf->compress);
	_cleanup_(strlist) struct strlist good = { 0 };

	if (!missing)
		return 0;
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		_cleanup_(free) char *other = missing_for_compressor(kernel, all[i]);

		if (!other)
			strlist_add(&good, all[i]);
	}
	_cleanup_(free) char *list = strlist_join(&good, ", ");

	return error_text(e, ENOTSUP,
			  "compress = %s: kernel %s cannot unpack that (%s is not set in %s); it can: %s",
			  conf->compress, kernel->version, missing, kernel->config.source, list);
}

/* --- drivers --- */

static const struct format *find(const char *name)
{
	for (size_t i = 0; i < format_count; i++)
		if (streq(formats[i].name, name))
			return &formats[i];
	return NULL;
}

/* The classic way: what mounts it and the RAM disk are in the kernel. */
static bool is_classic(const struct format *f, const struct kernel *kernel)
{
	const struct kernel_config *c = &kernel->config;

	if (kernel_config_get(c, "CONFIG_BLK_DEV_RAM") != KERNEL_OPTION_YES)
		return false;
	for (const struct driver *d = f->drivers; d->option; d++)
		if (kernel_config_get(c, d->option) == KERNEL_OPTION_YES &&
		    (!d->also || kernel_config_get(c, d->also) == KERNEL_OPTION_YES))
			return true;
	return false;
}

/* What the starter has to load and to try; false: no driver can be had. */
static bool add_drivers(const struct format *f, const struct kernel *kernel, struct format_choice *choice)
{
	const struct kernel_config *c = &kernel->config;

	for (const struct driver *d = f->drivers; d->option; d++) {
		enum kernel_option is = kernel_config_get(c, d->option);

		if (is == KERNEL_OPTION_NO)
			continue;
		strlist_add(&choice->types, d->module);
		/* One is enough; a built-in one needs no module of another. */
		if (is == KERNEL_OPTION_YES)
			return true;
		strlist_add(&choice->modules, d->module);
		if (is == KERNEL_OPTION_MODULE)
			return true;
	}
	return choice->types.count > 0;
}

static int refuse_format(const struct format *f, const struct kernel *kernel, const char *missing,
			 struct error *e)
{
	_cleanup_(strlist) struct strlist good = { 0 };

	for (size_t i = 0; i < format_count; i++) {
		_cleanup_(format_choice) struct format_choice other = { 0 };

		if (&formats[i] == f)
			continue;
		if (!formats[i].pack || is_classic(&formats[i], kernel) ||
		    (!is_off(kernel, "CONFIG_BLK_DEV_LOOP") && add_drivers(&formats[i], kernel, &other)))
			strlist_add(&good, formats[i].name);
	}
	_cleanup_(free) char *list = strlist_join(&good, ", ");

	return error_text(e, ENOTSUP,
			  "format = %s: kernel %s cannot boot that (%s is not set in %s); it can: %s",
			  f->name, kernel->version, missing, kernel->config.source, list);
}

static int choose_starter(const struct format *f, const struct kernel *kernel, struct format_choice *choice,
			  struct error *e)
{
	enum kernel_option loop = kernel_config_get(&kernel->config, "CONFIG_BLK_DEV_LOOP");

	choice->way = BOOT_STARTER;
	if (!add_drivers(f, kernel, choice)) {
		_cleanup_(strlist) struct strlist options = { 0 };

		for (const struct driver *d = f->drivers; d->option; d++)
			strlist_add(&options, d->option);
		_cleanup_(free) char *list = strlist_join(&options, " or ");

		return refuse_format(f, kernel, list, e);
	}
	if (loop == KERNEL_OPTION_NO)
		return refuse_format(f, kernel, "CONFIG_BLK_DEV_LOOP", e);
	if (loop != KERNEL_OPTION_YES)
		strlist_add(&choice->modules, "loop");
	if (choice->modules.count && !kernel->modules) {
		_cleanup_(free) char *list = strlist_join(&choice->modules, ", ");

		return error_text(
			e, ENOENT,
			"format = %s: kernel %s needs modules for that (%s), and its lib/modules/%s is "
			"not there; use format = cpio",
			f->name, kernel->version, list, kernel->version);
	}
	return 0;
}

int format_choose(const struct recovery_conf *conf, const struct kernel *kernel, struct format_choice *ret,
		  struct error *e)
{
	_cleanup_(format_choice) struct format_choice choice = { .format = find(conf->format),
								 .way = BOOT_CPIO,
								 .compressed = true };
	const struct format *f = choice.format;
	const char *known;
	const struct compressor *compressor = compressor_find(conf->compress, &known);

	if (!f)
		return error_text(e, EINVAL, "format = %s: expected cpio, cramfs or ext2", conf->format);
	if (!compressor)
		return error_text(e, EINVAL, "compress = %s: expected %s", conf->compress, known);
	if (conf->level > compressor->max_level)
		return error_text(e, EINVAL, "compress = %s has no level %u; its highest is %u",
				  conf->compress, conf->level, compressor->max_level);
	if (is_off(kernel, "CONFIG_BLK_DEV_INITRD"))
		return error_text(
			e, ENOTSUP,
			"kernel %s takes no initrd at all (CONFIG_BLK_DEV_INITRD is not set in %s); "
			"choose another with -k",
			kernel->version, kernel->config.source);
	int r = 0;

	choice.image_compressed = f->compresses;
	if (f->pack && is_classic(f, kernel)) {
		choice.way = BOOT_CLASSIC;
		choice.compressed = !f->compresses;
	} else if (f->pack) {
		r = choose_starter(f, kernel, &choice, e);
	}
	if (r == 0 && choice.compressed)
		r = check_compressor(conf, kernel, e);
	if (r < 0)
		return r;
	*ret = choice;
	choice = (struct format_choice) { 0 };
	return 0;
}

int format_pack(const struct format_choice *c, const struct tree *tree, const struct recovery_conf *conf,
		time_t mtime, int fd, const char *shown, struct pack_totals *ret, struct report *report,
		struct error *e)
{
	return c->format->pack(tree, conf, mtime, fd, shown, ret, report, e);
}
