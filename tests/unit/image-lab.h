/* A made-up root and data folder for whole builds: tiny programs and libraries by the C compiler, a kernel that is only a
 * header. Nothing of it could run, and nothing does. */
#pragma once
#include "image/image.h"
#include "image/kernel.h"
#include "image/libs.h"
#include "base/fs.h"
#include "base/proc.h"
#include "tap.h"
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

static struct error e;
static struct report quiet;

struct lab {
	struct tempdir dir; /* holds root/, data/, out/ */
	struct recovery_conf conf;
	char *root, *data, *out, *kernel;
};

__attribute__((unused)) static char *inside(const struct lab *lab, const char *path)
{
	return xasprintf("%s/%s", lab->dir.path, path);
}

__attribute__((unused)) static void put_mode(const struct lab *lab, const char *path, mode_t mode,
					     const char *text)
{
	_cleanup_(free) char *parent = xstrndup(path, (size_t)(strrchr(path, '/') - path));

	CHECK_OK(mkdir_parents_at(lab->dir.fd, parent, 0755, &e));
	CHECK_OK(write_file_at(lab->dir.fd, path, mode, text, strlen(text), &e));
}

__attribute__((unused)) static void put(const struct lab *lab, const char *path, const char *text)
{
	put_mode(lab, path, 0644, text);
}

__attribute__((unused)) static void put_link(const struct lab *lab, const char *path, const char *target)
{
	CHECK(symlinkat(target, lab->dir.fd, path) == 0);
}

/* Compiles an empty object file into a library or program without any libraries of the system. */
__attribute__((unused)) static void compile(const struct lab *lab, const char *path, const char *options)
{
	_cleanup_(free) char *out = inside(lab, path);
	_cleanup_(free) char *source = inside(lab, "empty.c");
	_cleanup_(free) char *parent = xstrndup(path, (size_t)(strrchr(path, '/') - path));
	_cleanup_(strlist) struct strlist argv = { 0 };

	CHECK_OK(mkdir_parents_at(lab->dir.fd, parent, 0755, &e));
	CHECK_OK(write_file_at(lab->dir.fd, "empty.c", 0644, "int x;\n", 7, &e));
	strlist_add_words(&argv, "cc -nostdlib -fPIC -Wl,--no-as-needed,--allow-shlib-undefined -o");
	strlist_add(&argv, out);
	strlist_add(&argv, source);
	strlist_add_words(&argv, options);
	for (size_t i = 0; i < argv.count; i++)
		if (str_ends(argv.items[i], ".so") && argv.items[i][0] == '+') {
			char *full = inside(lab, argv.items[i] + 1);

			free(argv.items[i]);
			argv.items[i] = full;
		}
	CHECK_OK(proc_run((const char *const *)argv.items, NULL, &e));
}

/* A kernel module as far as depmod and libkmod look: what it exports, uses and says of itself. */
__attribute__((unused)) static void put_module(const struct lab *lab, const char *path, const char *exports,
					       const char *uses, const char *info)
{
	_cleanup_(free) char *out = inside(lab, path);
	_cleanup_(free) char *source = inside(lab, "module.c");
	_cleanup_(free) char *parent = xstrndup(path, (size_t)(strrchr(path, '/') - path));
	_cleanup_(strbuf) struct strbuf text = { 0 };

	strbuf_printf(&text,
		      "const char info[] __attribute__((section(\".modinfo\"))) = "
		      "\"license=GPL\\0vermagic=6.6.6-lab SMP \\0%s\";\n",
		      info);
	if (exports)
		strbuf_printf(
			&text,
			"const char names[] __attribute__((section(\"__ksymtab_strings\"))) = \"%s\";\n",
			exports);
	if (uses)
		strbuf_printf(&text, "int %s(void);\nint run(void) { return %s(); }\n", uses, uses);
	CHECK_OK(mkdir_parents_at(lab->dir.fd, parent, 0755, &e));
	CHECK_OK(write_file_at(lab->dir.fd, "module.c", 0644, text.data, text.len, &e));
	CHECK_OK(proc_run((const char *const[]) { "cc", "-c", "-w", "-o", out, source, NULL }, NULL, &e));
}

/* "HdrS" and a version where Linux's boot.rst says they are. */
__attribute__((unused)) static void put_kernel(const struct lab *lab, const char *path)
{
	char image[0xa00] = { 0 }; /* the least that a header of zeroes speaks of */

	memcpy(image + 0x202, "HdrS", 4);
	image[0x20e] = 0x00;
	image[0x20f] = 0x01; /* 0x100, less 0x200 */
	memcpy(image + 0x300, "6.6.6-lab (someone@somewhere) #1 SMP", 36);
	CHECK_OK(write_file_at(lab->dir.fd, path, 0644, image, sizeof(image), &e));
}

/* Modules' indexes of the made-up kernel, over whatever modules are there. */
__attribute__((unused)) static void index_modules(const struct lab *lab)
{
	CHECK_OK(proc_run((const char *const[]) { "depmod", "-b", lab->root, "6.6.6-lab", NULL }, NULL, &e));
}

__attribute__((unused)) static void lab_free(struct lab *lab)
{
	recovery_conf_free(&lab->conf);
	free(lab->root);
	free(lab->data);
	free(lab->out);
	free(lab->kernel);
	tempdir_remove(&lab->dir);
}
DEFINE_CLEANUP(lab, struct lab, lab_free)

__attribute__((unused)) static void lab_make(struct lab *lab)
{
	*lab = (struct lab) { .dir = TEMPDIR_NONE };
	report_init(&quiet, VERBOSITY_QUIET, false);
	CHECK(setenv("SOURCE_DATE_EPOCH", "1700000000", 1) == 0);
	/* Hundreds of small files, each flushed: in RAM where that is possible. */
	if (access("/dev/shm", W_OK) == 0)
		CHECK(setenv("TMPDIR", "/dev/shm", 0) == 0);
	CHECK_OK(tempdir_make(&lab->dir, &e));
	lab->root = inside(lab, "root");
	lab->data = inside(lab, "data");
	lab->out = inside(lab, "out");
	lab->kernel = inside(lab, "kernel");
	put_kernel(lab, "kernel");
	put_mode(lab, "data/overlay/init", 0755, "#!/bin/sh\n");
	put(lab, "data/overlay/lib/say.sh", "say() { :; }\n");
	put(lab, "data/profiles/test.conf",
	    "[profile]\ndescription = test\n[tools]\nrequired = script\n[link /bin/sh]\ntarget = busybox\n");
	put_mode(lab, "root/usr/bin/script", 0755, "#!/bin/sh\n");
	put_mode(lab, "root/usr/bin/busybox", 0755, "not really\n");
	CHECK_OK(mkdir_parents_at(lab->dir.fd, "root/usr/lib", 0755, &e));
	put_link(lab, "root/usr/bin/sh", "busybox"); /* what init and its steps are run by */
	put_link(lab, "root/bin", "usr/bin");
	put_link(lab, "root/lib", "usr/lib");
	put(lab, "root/usr/lib/modules/6.6.6-lab/modules.builtin", "kernel/fs/inside.ko\n");
	index_modules(lab);
	put(lab, "conf/empty.conf", "[image]\nprofiles = test\n[console]\nkeymap = none\n");
	_cleanup_(free) char *path = inside(lab, "conf/empty.conf");

	CHECK_OK(recovery_conf_load(path, &lab->conf, &e));
}

__attribute__((unused)) static int build(const struct lab *lab, const char *out, struct image_result *ret)
{
	const struct image_request request = {
		.conf = &lab->conf, .kernel = lab->kernel, .root = lab->root, .datadir = lab->data
	};
	_cleanup_(free) char *folder = inside(lab, out);

	return image_build(&request, folder, ret, &quiet, &e);
}

__attribute__((unused)) static char *read_out(const struct lab *lab, const char *path, size_t *ret_len)
{
	char *data;

	CHECK_OK(read_file_at(lab->dir.fd, path, 64 << 20, &data, ret_len, &e));
	return data;
}

/* The archive as text: one "path mode type-specific" per line. */
__attribute__((unused)) static void list_initrd(const struct lab *lab, const char *path, struct strbuf *ret)
{
	_cleanup_(free) char *full = inside(lab, path);
	struct archive *a = archive_read_new();
	struct archive_entry *entry;

	CHECK(archive_read_support_filter_zstd(a) == ARCHIVE_OK);
	CHECK(archive_read_support_filter_xz(a) == ARCHIVE_OK);
	CHECK(archive_read_support_filter_gzip(a) == ARCHIVE_OK);
	CHECK(archive_read_support_filter_lz4(a) == ARCHIVE_OK);
	CHECK(archive_read_support_format_cpio(a) == ARCHIVE_OK);
	CHECK(archive_read_open_filename(a, full, 65536) == ARCHIVE_OK);
	while (archive_read_next_header(a, &entry) == ARCHIVE_OK) {
		const char *link = archive_entry_symlink(entry);

		CHECK_INT(archive_entry_uid(entry), 0);
		CHECK_INT(archive_entry_mtime(entry), 1700000000);
		strbuf_printf(ret, "%s %o", archive_entry_pathname(entry), archive_entry_mode(entry));
		if (archive_entry_filetype(entry) == AE_IFCHR)
			strbuf_printf(ret, " %u:%u", (unsigned)archive_entry_rdevmajor(entry),
				      (unsigned)archive_entry_rdevminor(entry));
		strbuf_printf(ret, "%s%s\n", link ? " -> " : "", link ? link : "");
	}
	CHECK(archive_read_free(a) == ARCHIVE_OK);
}

__attribute__((unused)) static void check_line(const struct strbuf *text, const char *line)
{
	_cleanup_(free) char *whole = xasprintf("\n%s\n", line);

	if (!strstr(text->data, whole) && !str_after(text->data, whole + 1))
		TAP_FAIL("no line '%s' in:\n%s", line, text->data);
}

__attribute__((unused)) static bool exists(const struct lab *lab, const char *path)
{
	return faccessat(lab->dir.fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

__attribute__((unused)) static void check_no_output(const struct lab *lab)
{
	CHECK(!exists(lab, "out/vmlinuz") && !exists(lab, "out/initrd.img") && !exists(lab, "out/tree.list"));
	/* nor temporaries: the folder is empty, or was not made */
	CHECK(!exists(lab, "out") || unlinkat(lab->dir.fd, "out", AT_REMOVEDIR) == 0);
}
