/* Whole builds: what an image holds. */
#include "image-lab.h"

TEST(an_image_holds_what_was_asked_for)
{
	_cleanup_(lab) struct lab lab;
	_cleanup_(image_result) struct image_result result = { 0 };
	_cleanup_(strbuf) struct strbuf list = { 0 };

	lab_make(&lab);
	CHECK_OK(build(&lab, "out", &result));
	list_initrd(&lab, "out/initrd.img", &list);
	check_line(&list, "bin 120777 -> usr/bin");
	check_line(&list, "dev/console 20600 5:1");
	check_line(&list, "init 100755");
	check_line(&list, "usr/bin/script 100755");
	check_line(&list, "usr/bin/sh 120777 -> busybox");
	check_line(&list, "usr/bin/busybox 100755"); /* the interpreter of script */
	check_line(&list, "usr/lib/say.sh 100644"); /* through the root's link */
	check_line(&list, "etc/lifeboat/rescue.env 100644");
	CHECK_STR(result.kernel_version, "6.6.6-lab");
	CHECK(!result.holds_secrets);
	_cleanup_(free) char *why = read_out(&lab, "out/tree.list", NULL);

	CHECK(strstr(why, "/usr/bin/busybox\tfile\t0755\t11\tprofile test → tool script → tool sh\n"));
}

TEST(the_ram_that_an_image_needs_can_be_told_later)
{
	_cleanup_(lab) struct lab lab;
	_cleanup_(image_result) struct image_result result = { 0 };
	uint64_t ram = 1;

	lab_make(&lab);
	CHECK_OK(build(&lab, "out", &result));
	CHECK_OK(image_folder_ram(lab.out, &ram, &e));
	CHECK_INT(ram, result.ram_needed);
	CHECK(ram > 96 << 20);
	_cleanup_(free) char *list = inside(&lab, "out/tree.list");
	_cleanup_(free) char *want =
		xasprintf("%s:2: expected path, type, mode, size and reason between tabs", list);

	put(&lab, "out/tree.list", "/a\tfile\t0644\t1\tprofile x\n/b\tfile\t0644\tmany\tprofile x\n");
	CHECK_ERROR(image_folder_ram(lab.out, &ram, &e), want);
	put(&lab, "out/tree.list", "\n/a\n");
	CHECK_ERROR(image_folder_ram(lab.out, &ram, &e), want);
	CHECK_INT(ram, result.ram_needed);
	CHECK(unlinkat(lab.dir.fd, "out/tree.list", 0) == 0);
	CHECK_OK(image_folder_ram(lab.out, &ram, &e));
	CHECK_INT(ram, 0);
}

TEST(the_same_inputs_give_the_same_bytes)
{
	_cleanup_(lab) struct lab lab;
	_cleanup_(image_result) struct image_result one = { 0 }, two = { 0 };
	size_t one_len, two_len;

	lab_make(&lab);
	CHECK_OK(build(&lab, "out", &one));
	/* Another umask in the checkout, another time of the files. */
	CHECK(fchmodat(lab.dir.fd, "data/overlay/init", 0700, 0) == 0);
	CHECK(fchmodat(lab.dir.fd, "data/overlay/lib/say.sh", 0600, 0) == 0);
	CHECK(utimensat(lab.dir.fd, "root/usr/bin/busybox", NULL, 0) == 0);
	CHECK_OK(build(&lab, "again", &two));
	_cleanup_(free) char *a = read_out(&lab, "out/initrd.img", &one_len);
	_cleanup_(free) char *b = read_out(&lab, "again/initrd.img", &two_len);

	CHECK_INT(one_len, two_len);
	CHECK(memcmp(a, b, one_len) == 0);
}

TEST(every_compressor_gives_the_same_tree)
{
	_cleanup_(lab) struct lab lab;
	_cleanup_(strbuf) struct strbuf zstd = { 0 };
	static const char *const others[] = { "xz", "gzip", "lz4", "none" };

	lab_make(&lab);
	_cleanup_(image_result) struct image_result first = { 0 };

	CHECK_OK(build(&lab, "out", &first));
	list_initrd(&lab, "out/initrd.img", &zstd);
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		_cleanup_(image_result) struct image_result result = { 0 };
		_cleanup_(strbuf) struct strbuf list = { 0 };

		free(lab.conf.compress);
		lab.conf.compress = xstrdup(others[i]);
		CHECK_OK(build(&lab, "out", &result));
		list_initrd(&lab, "out/initrd.img", &list);
		CHECK_STR(list.data, zstd.data);
	}
	free(lab.conf.compress);
	lab.conf.compress = xstrdup("lzo");
	CHECK_ERROR(build(&lab, "out", &first), "compress = lzo: expected zstd, xz, gzip, lz4 or none");
}

/* What a kernel with the drivers built in gets, and is told on its command line. */
TEST(a_classic_initrd_is_the_image_itself)
{
	static const struct {
		const char *format, *compress,
			*check; /* NULL: it is packed, and as large as the one before */
	} cases[] = {
		{ "cramfs", "zstd", "fsck.cramfs" },
		{ "ext2", "none", "e2fsck -fn" },
		{ "ext2", "gzip", NULL },
	};
	static const char config[] = "CONFIG_BLK_DEV_INITRD=y\nCONFIG_RD_GZIP=y\nCONFIG_BLK_DEV_RAM=y\n"
				     "CONFIG_CRAMFS=y\nCONFIG_EXT2_FS=y\n";
	_cleanup_(lab) struct lab lab;
	uint64_t kib = 0;

	lab_make(&lab);
	CHECK_OK(write_file_at(lab.dir.fd, "config-6.6.6-lab", 0644, config, strlen(config), &e));
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		_cleanup_(image_result) struct image_result result = { 0 };
		_cleanup_(strlist) struct strlist argv = { 0 };
		_cleanup_(free) char *parameters = NULL;

		CHECK_OK(recovery_conf_set(&lab.conf, "image", "format", cases[i].format, &e));
		CHECK_OK(recovery_conf_set(&lab.conf, "image", "compress", cases[i].compress, &e));
		CHECK_OK(build(&lab, "out", &result));
		if (cases[i].check) {
			strlist_add_words(&argv, cases[i].check);
			strlist_take(&argv, inside(&lab, "out/initrd.img"));
			CHECK_OK(proc_run((const char *const *)argv.items, NULL, &e));
			kib = result.initrd_size / 1024;
		}
		_cleanup_(free) char *wanted = xasprintf("root=/dev/ram0 ramdisk_size=%llu ro init=/linuxrc",
							 (unsigned long long)kib);

		CHECK_OK(image_parameters(lab.out, &parameters, &e));
		CHECK_STR(parameters, wanted);
	}
	_cleanup_(free) char *nothing = NULL;
	_cleanup_(image_result) struct image_result cpio = { 0 };

	CHECK_OK(recovery_conf_set(&lab.conf, "image", "format", "cpio", &e));
	CHECK_OK(build(&lab, "out", &cpio));
	CHECK_OK(image_parameters(lab.out, &nothing, &e));
	CHECK_STR(nothing, "");
	/* Nothing can lie in front of it. */
	CHECK_OK(recovery_conf_set(&lab.conf, "image", "format", "cramfs", &e));
	CHECK_OK(recovery_conf_set(&lab.conf, "image", "microcode", "all", &e));
	_cleanup_(image_result) struct image_result none = { 0 };

	CHECK_ERROR(
		build(&lab, "out", &none),
		"microcode = all: nothing can lie in front of a classic cramfs initrd; use format = cpio");
}

TEST(libraries_are_found_as_the_loader_finds_them)
{
	_cleanup_(lab) struct lab lab;
	_cleanup_(image_result) struct image_result result = { 0 };
	_cleanup_(strbuf) struct strbuf list = { 0 };

	lab_make(&lab);
	/* prog → liba (RUNPATH $ORIGIN) → libb (only by ld.so.conf) and libc (a default folder) */
	compile(&lab, "root/opt/conf/libb.so.1", "-shared -Wl,-soname,libb.so.1");
	compile(&lab, "root/usr/lib/libc.so.6", "-shared -Wl,-soname,libc.so.6");
	put_link(&lab, "build-b.so", "root/opt/conf/libb.so.1");
	put_link(&lab, "build-c.so", "root/usr/lib/libc.so.6");
	compile(&lab, "root/usr/lib/private/liba.so.1.0",
		"-shared -Wl,-soname,liba.so.1 +build-b.so +build-c.so");
	put_link(&lab, "root/usr/lib/private/liba.so.1", "liba.so.1.0");
	put_link(&lab, "build-a.so", "root/usr/lib/private/liba.so.1.0");
	compile(&lab, "root/usr/lib/ld-lab.so", "-shared -Wl,-soname,ld-lab.so");
	compile(&lab, "root/usr/bin/prog",
		"-nostartfiles -Wl,-e,0 -Wl,--dynamic-linker,/lib/ld-lab.so "
		"-Wl,--enable-new-dtags,-rpath,$ORIGIN/../lib/private +build-a.so");
	put(&lab, "root/etc/ld.so.conf", "# comment\ninclude /etc/ld.so.conf.d/*.conf\n");
	put(&lab, "root/etc/ld.so.conf.d/x.conf", "/opt/conf\n");
	put(&lab, "data/profiles/test.conf", "[tools]\nrequired = prog\n");
	CHECK_OK(build(&lab, "out", &result));
	list_initrd(&lab, "out/initrd.img", &list);
	check_line(&list, "usr/lib/ld-lab.so 100755");
	check_line(&list, "usr/lib/private/liba.so.1 120777 -> liba.so.1.0");
	check_line(&list, "usr/lib/private/liba.so.1.0 100755");
	check_line(&list, "opt/conf/libb.so.1 100755");
	/* No default folder has it: the image gets an ld.so.cache of its own. */
	check_line(&list, "etc/ld.so.cache 100644");

	CHECK(unlinkat(lab.dir.fd, "root/opt/conf/libb.so.1", 0) == 0);
	_cleanup_(image_result) struct image_result none = { 0 };
	_cleanup_(free) char *want = xasprintf(
		"pack %s/usr/lib/private/liba.so.1.0: its library libb.so.1 is in no folder of ld.so",
		lab.root);

	CHECK_ERROR(build(&lab, "out2", &none), want);
}

#define MODULES "root/usr/lib/modules/6.6.6-lab/kernel/"

TEST(modules_bring_what_they_need)
{
	_cleanup_(lab) struct lab lab;
	_cleanup_(image_result) struct image_result result = { 0 };
	_cleanup_(strbuf) struct strbuf list = { 0 };

	lab_make(&lab);
	put_module(&lab, MODULES "net/card.ko", NULL, "core_start",
		   "softdep=pre: crypto-soft\\0firmware=card/one.fw\\0firmware=card/absent.fw");
	put_module(&lab, MODULES "net/core.ko", "core_start", "bus_start", "");
	put_module(&lab, MODULES "bus.ko", "bus_start", NULL, "");
	put_module(&lab, MODULES "crypto/soft-thing.ko", NULL, NULL, "alias=crypto-soft");
	put_module(&lab, MODULES "drivers/device.ko", NULL, NULL, "alias=pci:v00001AF4d*");
	put_module(&lab, MODULES "class/a/one.ko", NULL, NULL, "");
	put_module(&lab, MODULES "class/two.ko", NULL, NULL, "");
	put_module(&lab, MODULES "classless/not.ko", NULL, NULL, "");
	put_module(&lab, MODULES "loaded.ko", NULL, NULL, "");
	put_module(&lab, MODULES "sound/beep.ko", NULL, NULL, "alias=pci:v00001AF4d*");
	index_modules(&lab);
	put(&lab, "root/usr/lib/firmware/card/one.fw", "firmware");
	put(&lab, "root/proc/modules", "loaded 1 0 - Live\nbus 1 0 - Live\ngone 1 0 - Live\n");
	put(&lab, "root/sys/devices/pci0/dev1/modalias", "pci:v00001AF4d00001000sv0sd0bc02sc00i00\n");
	put(&lab, "data/profiles/test.conf",
	    "[modules]\nrequired = card inside\noptional = nonesuch\nclasses = kernel/class\nmachine = "
	    "yes\nmachine-except = kernel/sound\n");
	CHECK_OK(build(&lab, "out", &result));
	list_initrd(&lab, "out/initrd.img", &list);
	static const char *const packed[] = { "net/card",          "net/core",    "bus",
					      "crypto/soft-thing", "class/a/one", "class/two",
					      "drivers/device",    "loaded" };

	for (size_t i = 0; i < sizeof(packed) / sizeof(*packed); i++) {
		_cleanup_(free) char *line =
			xasprintf("usr/lib/modules/6.6.6-lab/kernel/%s.ko 100644", packed[i]);

		check_line(&list, line);
	}
	CHECK(!strstr(list.data, "not.ko"));
	CHECK(!strstr(list.data, "beep.ko"));
	check_line(&list, "usr/lib/firmware/card/one.fw 100644");
	check_line(&list, "usr/lib/modules/6.6.6-lab/modules.dep.bin 100644");
	_cleanup_(free) char *why = read_out(&lab, "out/tree.list", NULL);

	CHECK(strstr(why, "bus.ko\tfile"));
	CHECK(strstr(why, "profile test → module card → soft dependency crypto-soft → module soft_thing"));
}

TEST(microcode_goes_in_front_of_the_rest)
{
	_cleanup_(lab) struct lab lab;
	_cleanup_(image_result) struct image_result without = { 0 }, with = { 0 };
	size_t short_len, long_len;

	lab_make(&lab);
	put(&lab, "root/usr/lib/firmware/intel-ucode/06-8e-0a", "microcode");
	CHECK_OK(build(&lab, "out", &without));
	free(lab.conf.microcode);
	lab.conf.microcode = xstrdup("all");
	CHECK_OK(build(&lab, "again", &with));
	_cleanup_(free) char *rest = read_out(&lab, "out/initrd.img", &short_len);
	_cleanup_(free) char *whole = read_out(&lab, "again/initrd.img", &long_len);

	CHECK_INT(long_len, short_len + 1024);
	CHECK(memcmp(whole, "070701", 6) == 0);
	CHECK(memcmp(whole + 1024, rest, short_len) == 0);
	CHECK_INT(with.initrd_size, long_len);
}

TEST(links_of_a_foreign_root_stay_inside_it)
{
	_cleanup_(lab) struct lab lab;
	_cleanup_(root) struct root root = ROOT_NONE;
	_cleanup_(walk) struct walk w = { 0 };

	lab_make(&lab);
	put_link(&lab, "root/usr/bin/abs", "/usr/bin/script");
	put_link(&lab, "root/usr/bin/out", "../../../../../usr/bin/script");
	CHECK_OK(root_open(lab.root, &root, &e));
	CHECK_OK(root_walk(&root, NULL, "/bin/abs", &w, &e));
	CHECK_STR(w.canonical, "usr/bin/script");
	CHECK_INT(w.links.count, 4);
	walk_free(&w);
	CHECK_OK(root_walk(&root, NULL, "bin//out", &w, &e));
	CHECK_STR(w.canonical, "usr/bin/script");
}

TEST(secrets_only_when_wanted_and_only_private)
{
	_cleanup_(lab) struct lab lab;
	_cleanup_(image_result) struct image_result without = { 0 }, with = { 0 }, fail = { 0 };
	_cleanup_(strbuf) struct strbuf list = { 0 };
	struct stat st;

	lab_make(&lab);
	put_mode(&lab, "private/secret", 0600, "username=u\npassword=p\n");
	lab.conf.credentials = inside(&lab, "private/secret");
	CHECK_OK(build(&lab, "out", &without));
	CHECK(!without.holds_secrets);
	CHECK(fstatat(lab.dir.fd, "out/initrd.img", &st, 0) == 0 && (st.st_mode & 0777) == 0644);
	lab.conf.pack_secrets = true;
	CHECK_OK(build(&lab, "out", &with));
	CHECK(with.holds_secrets);
	CHECK_STR(with.secrets.items[0], "/etc/lifeboat/credentials");
	CHECK(fstatat(lab.dir.fd, "out/initrd.img", &st, 0) == 0 && (st.st_mode & 0777) == 0600);
	list_initrd(&lab, "out/initrd.img", &list);
	check_line(&list, "etc/lifeboat/credentials 100600");
	CHECK(fchmodat(lab.dir.fd, "private/secret", 0640, 0) == 0);
	_cleanup_(free) char *want =
		xasprintf("read credentials %s: others can read it (mode 0640); do: chmod 600 %s",
			  lab.conf.credentials, lab.conf.credentials);

	CHECK_ERROR(build(&lab, "out", &fail), want);
}

TEST(the_key_of_backups_only_when_it_is_asked_for_by_name)
{
	_cleanup_(lab) struct lab lab;
	_cleanup_(image_result) struct image_result without = { 0 }, with = { 0 }, fail = { 0 }, none = { 0 };
	_cleanup_(strbuf) struct strbuf list = { 0 };
	struct stat st;

	lab_make(&lab);
	put_mode(&lab, "private/key", 0600, "AGE-SECRET-KEY-1\n");
	lab.conf.identity = inside(&lab, "private/key");
	lab.conf.pack_secrets = true; /* which are those of the share */
	CHECK_OK(build(&lab, "out", &without));
	CHECK(!without.holds_secrets);
	lab.conf.pack_identity = true;
	CHECK_OK(build(&lab, "out", &with));
	CHECK_STR(with.secrets.items[0], lab.conf.identity);
	CHECK(fstatat(lab.dir.fd, "out/initrd.img", &st, 0) == 0 && (st.st_mode & 0777) == 0600);
	list_initrd(&lab, "out/initrd.img", &list);
	_cleanup_(free) char *line = xasprintf("%s 100600", lab.conf.identity + 1);

	check_line(&list, line);
	CHECK(fchmodat(lab.dir.fd, "private/key", 0644, 0) == 0);
	_cleanup_(free) char *want =
		xasprintf("read identity %s: others can read it (mode 0644); do: chmod 600 %s",
			  lab.conf.identity, lab.conf.identity);

	CHECK_ERROR(build(&lab, "out", &fail), want);
	free(TAKE_PTR(lab.conf.identity));
	CHECK_ERROR(build(&lab, "out", &none), "pack-identity = yes: no identity is named in [backup]");
}

TEST(a_sites_overlay_goes_on_top)
{
	_cleanup_(lab) struct lab lab;
	_cleanup_(image_result) struct image_result result = { 0 };
	_cleanup_(strbuf) struct strbuf list = { 0 };

	lab_make(&lab);
	put_mode(&lab, "site/bin/busybox", 0711, "ours\n");
	put_mode(&lab, "site/root/key", 0600, "private\n");
	lab.conf.overlay = inside(&lab, "site");
	CHECK_OK(build(&lab, "out", &result));
	list_initrd(&lab, "out/initrd.img", &list);
	check_line(&list, "usr/bin/busybox 100711");
	check_line(&list, "root/key 100600");
	CHECK(result.holds_secrets);
	CHECK(strlist_has(&result.secrets, "/root/key"));
}

TEST(programs_of_a_sites_overlay_get_what_they_need)
{
	_cleanup_(lab) struct lab lab;
	_cleanup_(image_result) struct image_result result = { 0 };
	_cleanup_(strbuf) struct strbuf list = { 0 };

	lab_make(&lab);
	lab.conf.overlay = inside(&lab, "site");
	/* Only the machine has libm1 and awk, only the overlay libsite1, in a folder of no loader's. */
	compile(&lab, "root/usr/lib/libm1.so", "-shared -Wl,-soname,libm1.so");
	compile(&lab, "site/opt/site/lib/libsite1.so", "-shared -Wl,-soname,libsite1.so");
	put_link(&lab, "m1.so", "root/usr/lib/libm1.so");
	put_link(&lab, "site1.so", "site/opt/site/lib/libsite1.so");
	compile(&lab, "root/usr/lib/ld-lab.so", "-shared -Wl,-soname,ld-lab.so");
	compile(&lab, "site/opt/site/bin/prog",
		"-nostartfiles -Wl,-e,0 -Wl,--dynamic-linker,/lib/ld-lab.so "
		"-Wl,--enable-new-dtags,-rpath,$ORIGIN/../lib +site1.so +m1.so");
	put_mode(&lab, "root/usr/bin/awk", 0755, "not really\n");
	put_mode(&lab, "site/usr/bin/report", 0755, "#!/usr/bin/awk -f\n");
	put(&lab, "site/usr/share/example", "#!/usr/bin/nonesuch\n");
	CHECK_OK(build(&lab, "out", &result));
	list_initrd(&lab, "out/initrd.img", &list);
	check_line(&list, "opt/site/lib/libsite1.so 100755");
	check_line(&list, "usr/lib/libm1.so 100755");
	check_line(&list, "usr/lib/ld-lab.so 100755");
	check_line(&list, "usr/bin/awk 100755");
	_cleanup_(free) char *why = read_out(&lab, "out/tree.list", NULL);
	_cleanup_(free) char *reason = xasprintf("overlay %s → library libm1.so\n", lab.conf.overlay);

	CHECK(strstr(why, reason));
	CHECK(unlinkat(lab.dir.fd, "root/usr/lib/libm1.so", 0) == 0);
	_cleanup_(image_result) struct image_result none = { 0 };
	_cleanup_(free) char *want = xasprintf(
		"pack %s/opt/site/bin/prog: its library libm1.so is in no folder of ld.so", lab.conf.overlay);

	CHECK_ERROR(build(&lab, "out2", &none), want);
}

TEST(an_installed_kernel_by_its_version)
{
	_cleanup_(lab) struct lab lab;
	_cleanup_(image_result) struct image_result result = { 0 };

	lab_make(&lab);
	CHECK_OK(mkdir_parents_at(lab.dir.fd, "root/boot", 0755, &e));
	put_kernel(&lab, "root/boot/vmlinuz-6.6.6-lab");
	free(lab.kernel);
	lab.kernel = xstrdup("6.6.6-lab");
	CHECK_OK(build(&lab, "out", &result));
	CHECK_INT(result.kernel_size, 0xa00);
}

TEST(promises_are_packed_and_told)
{
	_cleanup_(lab) struct lab lab;
	_cleanup_(image_result) struct image_result result = { 0 }, none = { 0 };
	_cleanup_(strbuf) struct strbuf list = { 0 };

	lab_make(&lab);
	put_module(&lab, MODULES "net/card.ko", NULL, NULL, "");
	index_modules(&lab);
	put(&lab, "root/etc/thing", "x");
	put_mode(&lab, "root/usr/bin/second", 0755, "#!/bin/script\n");
	put_mode(&lab, "root/usr/bin/script", 0755, "#!/bin/script\n");
	compile(&lab, "root/usr/bin/script", "-nostartfiles -static -Wl,-e,0");
	put(&lab, "data/profiles/test.conf",
	    "[promise can work]\ntools = first|second\nmodules = card inside\nfiles = /etc/thing\n");
	CHECK_OK(build(&lab, "out", &result));
	CHECK_INT(result.promises.count, 1);
	CHECK_STR(result.promises.items[0], "can work");
	list_initrd(&lab, "out/initrd.img", &list);
	check_line(&list, "usr/bin/second 100755");
	check_line(&list, "etc/thing 100644");

	/* A site's overlay goes on top, also where it does harm. */
	put_mode(&lab, "site/bin/second", 0644, "ours\n");
	lab.conf.overlay = inside(&lab, "site");
	_cleanup_(free) char *want = xasprintf("%s/profiles/test.conf:2: the image does not keep 'can work': "
					       "tool first is not in it; mend the "
					       "overlay or drop profile 'test'",
					       lab.data);

	CHECK_ERROR(build(&lab, "out2", &none), want);
	CHECK(!exists(&lab, "out2/initrd.img"));
}

TAP_MAIN()
