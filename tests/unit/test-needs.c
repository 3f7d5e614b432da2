/* Promises that recovery.conf's target and this machine need, on made-up roots. */
#include "image/hardware.h"
#include "image/needs.h"
#include "base/fs.h"
#include "tap.h"

#include <fcntl.h>
#include <sys/stat.h>

static struct error e;

struct lab {
	struct tempdir dir;
	struct root root;
	char *folder;
};

static void lab_free(struct lab *lab)
{
	root_close(&lab->root);
	free(lab->folder);
	tempdir_remove(&lab->dir);
}
DEFINE_CLEANUP(lab, struct lab, lab_free)

static void put(const struct lab *lab, const char *path, const char *text)
{
	const char *slash = strrchr(path, '/');
	_cleanup_(free) char *parent = xstrndup(path, (size_t)(slash - path));

	CHECK_OK(mkdir_parents_at(lab->dir.fd, parent, 0755, &e));
	CHECK_OK(write_file_at(lab->dir.fd, path, 0644, text, strlen(text), &e));
}

static void lab_make(struct lab *lab)
{
	*lab = (struct lab) { .dir = TEMPDIR_NONE, .root = ROOT_NONE };
	CHECK_OK(tempdir_make(&lab->dir, &e));
	put(lab, "profiles/plain.conf", "[tools]\nrequired = a\n");
	put(lab, "profiles/here.conf", "[modules]\nmachine = yes\n");
	put(lab, "profiles/smb.conf", "[promise can mount smb3]\ntools = a\n");
	put(lab, "profiles/old.conf", "[promise can mount nfs3]\ntools = a\n");
	put(lab, "profiles/both.conf",
	    "[promise can mount nfs3]\ntools = a\n[promise can mount nfs4]\ntools = a\n");
	put(lab, "profiles/lvm.conf", "[promise can open lvm]\ntools = a\n");
	put(lab, "profiles/ext.conf",
	    "[promise can make ext4]\ntools = a\n[promise can make swap]\ntools = a\n");
	put(lab, "root/x/x", "");
	lab->folder = xasprintf("%s/profiles", lab->dir.path);
	_cleanup_(free) char *root = xasprintf("%s/root", lab->dir.path);

	CHECK_OK(root_open(root, &lab->root, &e));
}

/* `conf`: recovery.conf's text; `names`: the chosen profiles. */
static void load(const struct lab *lab, const char *conf, const char *names, struct recovery_conf *ret_conf,
		 struct strlist *ret_names, struct profiles *ret_profiles)
{
	_cleanup_(free) char *path = xasprintf("%s/r.conf", lab->dir.path);

	CHECK_OK(write_file_at(lab->dir.fd, "r.conf", 0644, conf, strlen(conf), &e));
	CHECK_OK(recovery_conf_load(path, ret_conf, &e));
	strlist_add_words(ret_names, names);
	CHECK_OK(profiles_load(lab->folder, ret_names, ret_profiles, &e));
}

static int check(const struct lab *lab, const char *conf, const char *names)
{
	_cleanup_(recovery_conf) struct recovery_conf c = { 0 };
	_cleanup_(profiles) struct profiles profiles = { 0 };
	_cleanup_(strlist) struct strlist list = { 0 };

	load(lab, conf, names, &c, &list, &profiles);
	return needs_check(&c, &lab->root, &profiles, lab->folder, &e);
}

static const char smb[] = "[backup]\n\ntarget = smb://nas/rescue\n",
		  nfs[] = "[backup]\ntarget = nfs://nas/rescue\n";

TEST(a_target_needs_who_can_reach_it)
{
	_cleanup_(lab) struct lab lab;

	lab_make(&lab);
	CHECK_OK(check(&lab, "", "plain"));
	CHECK_OK(check(&lab, "[backup]\ntarget = file:///mnt/x\n", "plain"));
	CHECK_OK(check(&lab, smb, "plain smb"));
	CHECK_OK(check(&lab, nfs, "old"));
	_cleanup_(free) char *no_smb =
		xasprintf("%s/r.conf:3: target smb://nas/rescue: no chosen profile promises 'can mount "
			  "smb3'; add smb to 'profiles' in recovery.conf",
			  lab.dir.path);
	_cleanup_(free) char *no_nfs =
		xasprintf("%s/r.conf:2: target nfs://nas/rescue: no chosen profile promises 'can mount "
			  "nfs4'; add both to 'profiles' in recovery.conf",
			  lab.dir.path);

	/* each of several */
	_cleanup_(free) char *second =
		xasprintf("%s/r.conf:2: target file:///x, nfs://nas/rescue: no chosen profile "
			  "promises 'can mount nfs4'; add both to 'profiles' in recovery.conf",
			  lab.dir.path);

	CHECK_ERROR(check(&lab, "[backup]\ntarget = file:///x, nfs://nas/rescue\n", "plain"), second);
	CHECK_OK(check(&lab, "[backup]\ntarget = file:///x, nfs://nas/rescue\n", "old"));
	CHECK_ERROR(check(&lab, smb, "plain both"), no_smb);
	CHECK_ERROR(check(&lab, nfs, "plain smb"), no_nfs);
}

TEST(encrypted_backups_need_who_decrypts_them)
{
	_cleanup_(lab) struct lab lab;
	const char conf[] = "[backup]\nencrypt-to = /root/public\n";

	lab_make(&lab);
	put(&lab, "profiles/age.conf", "[promise can decrypt backups]\ntools = a\n");
	_cleanup_(free) char *want = xasprintf(
		"%s/r.conf:2: backups are encrypted: no chosen profile promises 'can decrypt backups'; add "
		"age to 'profiles' in recovery.conf",
		lab.dir.path);

	CHECK_ERROR(check(&lab, conf, "plain"), want);
	CHECK_OK(check(&lab, conf, "plain age"));
}

static void check_storage(const struct lab *lab, const char *want)
{
	_cleanup_(strlist) struct strlist found = { 0 };

	CHECK_OK(hardware_storage(&lab->root, &found, &e));
	_cleanup_(free) char *text = found.count ? strlist_join(&found, ",") : xstrdup("");

	CHECK_STR(text, want);
}

TEST(what_a_machine_is_made_of)
{
	_cleanup_(lab) struct lab lab;

	lab_make(&lab);
	check_storage(&lab, "");
	put(&lab, "root/etc/fstab",
	    "# comment\nUUID=1 / ext4 defaults 0 1\nUUID=2 none swap sw 0 0\nLABEL=x /data xfs noauto 0 2\n"
	    "tmpfs /tmp tmpfs rw 0 0\nshort line\n/dev/sda3 /srv btrfs defaults");
	check_storage(&lab, "ext4,swap,btrfs");
	put(&lab, "root/proc/mounts",
	    "/dev/sda1 / ext4 rw 0 0\n/dev/sda2 /boot/efi vfat rw 0 0\n/dev/sdb1 /media/stick exfat rw 0 0\n"
	    "/dev/loop0 /snap/x squashfs ro 0 0\nnas:/x /srv nfs4 rw 0 0\n/dev/sdc1 /run/media/me/x f2fs rw "
	    "0 0\n");
	put(&lab, "root/proc/swaps",
	    "Filename\tType\tSize\n/dev/zram0 partition 100 0 5\n/swapfile file 100 0 -2\n");
	check_storage(&lab, "ext4,swap,btrfs,vfat");
	put(&lab, "root/etc/fstab", "");
	check_storage(&lab, "ext4,vfat");
	put(&lab, "root/proc/swaps", "Filename\tType\tSize\n/dev/dm-1\tpartition\t100\t0\t-2\n");
	put(&lab, "root/sys/block/dm-0/dm/uuid", "CRYPT-LUKS2-0123-root\n");
	put(&lab, "root/sys/block/dm-1/dm/uuid", "LVM-abcd\n");
	put(&lab, "root/sys/block/sda/size", "1\n");
	put(&lab, "root/sys/block/md127/md/level", "raid1\n");
	put(&lab, "root/sys/firmware/efi/x", "");
	_cleanup_(strlist) struct strlist found = { 0 };

	CHECK_OK(hardware_storage(&lab.root, &found, &e));
	CHECK_INT(found.count, 7);
	CHECK(strlist_has(&found, "luks") && strlist_has(&found, "lvm") && strlist_has(&found, "raid"));
	CHECK(strlist_has(&found, "uefi") && strlist_has(&found, "swap"));
	put(&lab, "root/sys/block/dm-2/dm/uuid", "LVM-abcd-tpool\n");
	CHECK_OK(hardware_storage(&lab.root, &found, &e));
	CHECK(strlist_has(&found, "lvm thin pool"));
}

TEST(what_the_devices_of_a_machine_say_that_they_are)
{
	_cleanup_(lab) struct lab lab;
	_cleanup_(strlist) struct strlist found = { 0 };

	lab_make(&lab);
	put(&lab, "root/sys/devices/pci0000:00/0000:00:02.0/modalias", "pci:v1\n");
	put(&lab, "root/sys/devices/pci0000:00/0000:00:02.0/virtio1/modalias", "virtio:d1\n");
	put(&lab, "root/sys/devices/pci0000:00/0000:00:02.0/virtio2/modalias", "virtio:d1\n");
	put(&lab, "root/sys/devices/pci0000:00/memory/modalias", "pci:v0\n");
	put(&lab, "root/sys/devices/system/cpu/modalias", "cpu:x\n");
	put(&lab, "root/sys/devices/virtual/dmi/id/modalias", "dmi:y\n");
	/* where there is none, it is not looked for */
	put(&lab, "root/sys/devices/pci0000:00/power/modalias", "no\n");
	put(&lab, "root/sys/devices/system/memory/memory0/modalias", "no\n");
	put(&lab, "root/sys/devices/virtual/block/loop0/modalias", "no\n");
	CHECK_OK(hardware_modaliases(&lab.root, &found, &e));
	_cleanup_(free) char *text = strlist_join(&found, ",");

	CHECK_STR(text, "cpu:x,dmi:y,pci:v0,pci:v1,virtio:d1");
}

TEST(this_machine_needs_who_can_make_it_anew)
{
	_cleanup_(lab) struct lab lab;

	lab_make(&lab);
	put(&lab, "root/etc/fstab", "UUID=1 / ext3 defaults 0 1\n");
	put(&lab, "root/sys/block/dm-1/dm/uuid", "LVM-abcd\n");
	CHECK_OK(check(&lab, "", "plain")); /* not about this machine */
	CHECK_OK(check(&lab, "", "here lvm ext"));
	CHECK_ERROR(check(&lab, "", "here lvm"),
		    "this machine has ext3: no chosen profile promises 'can make ext4'; add ext to "
		    "'profiles' in recovery.conf, or drop profile here");
	CHECK_ERROR(check(&lab, "", "here"),
		    "this machine has ext3, lvm: no chosen profile promises 'can make ext4', 'can open "
		    "lvm'; add ext lvm to 'profiles' in recovery.conf, or drop profile here");
	put(&lab, "root/sys/block/dm-1/dm/uuid", "CRYPT-LUKS1-abcd\n");
	CHECK_ERROR(check(&lab, "", "here ext"),
		    "this machine has luks: no chosen profile promises 'can open luks'; write one "
		    "that does (lifeboat-profile(5)), or drop profile here");
}

static void check_added(struct lab *lab, const char *conf, const char *names, const char *want)
{
	_cleanup_(strlist) struct strlist list = { 0 };
	_cleanup_(profiles) struct profiles profiles = { 0 };
	_cleanup_(recovery_conf) struct recovery_conf c = { 0 };

	load(lab, conf, names, &c, &list, &profiles);
	CHECK_OK(needs_add(&c, &lab->root, &profiles, lab->folder, &list, &e));
	_cleanup_(free) char *text = strlist_join(&list, " ");

	CHECK_STR(text, want);
}

TEST(profiles_that_are_needed_besides)
{
	_cleanup_(lab) struct lab lab;

	lab_make(&lab);
	put(&lab, "root/etc/fstab", "UUID=1 / ext3 defaults 0 1\n");
	put(&lab, "root/sys/block/dm-1/dm/uuid", "LVM-abcd\n");
	check_added(&lab, smb, "here", "here ext lvm smb");
	check_added(&lab, "", "here lvm", "here lvm ext");
	check_added(&lab, smb, "plain", "plain smb"); /* not about this machine */
	put(&lab, "root/sys/block/dm-1/dm/uuid", "CRYPT-LUKS1-abcd\n");
	check_added(&lab, "", "here", "here ext"); /* nobody promises LUKS: needs_check() tells */
}

TEST(what_a_machine_has_to_enter_with_comes_along)
{
	_cleanup_(lab) struct lab lab;
	static const char program[] = "root/usr/bin/systemd-nspawn";

	lab_make(&lab);
	put(&lab, "profiles/enter.conf", "[promise can enter with systemd-nspawn]\ntools = a\n");
	check_added(&lab, "", "plain", "plain");
	put(&lab, program, "#!/bin/sh\n");
	CHECK_OK(fchmodat(lab.dir.fd, program, 0755, 0));
	check_added(&lab, "", "plain", "plain enter");
	CHECK_OK(check(&lab, "", "plain")); /* and nobody must */
}

TAP_MAIN()
