#include "image/tools.h"

const struct helper helpers[] = {
	/* Libraries that are opened while a program runs, where no note in the file says so (opened.h). Left out with
	 * reason: gconv's modules (glibc has UTF-8, Latin-1 and ASCII built in; a profile names others), OpenSSL's
	 * engines and NSS modules beside these (only files would ask for them that are not packed: openssl.cnf, the
	 * machine's nsswitch.conf), PAM's modules (our sshd asks none; a profile that packs /etc/pam.d names them), cryptsetup's tokens
	 * (a passphrase opens every volume; for TPM2 and FIDO2 they bring 7 MB of systemd and p11-kit). */
	{ "libc.so.6", HELPER_LIBRARY, "libnss_files.so.2", "users, hosts and services out of /etc" },
	{ "libc.so.6", HELPER_LIBRARY, "libnss_dns.so.2", "host names by DNS" },
	{ "libc.so.6", HELPER_LIBRARY, "libgcc_s.so.1", "ending a thread needs it" },
	{ "libpthread.so.0", HELPER_LIBRARY, "libgcc_s.so.1", "before glibc 2.34: ending a thread needs it" },
	{ "libkmod.so.2", HELPER_LIBRARY, "libzstd.so.1", "newer releases open it for .ko.zst" },
	{ "libkmod.so.2", HELPER_LIBRARY, "liblzma.so.5", "newer releases open it for .ko.xz" },
	{ "libkmod.so.2", HELPER_LIBRARY, "libz.so.1", "newer releases open it for .ko.gz" },
	{ "libcryptsetup.so.12", HELPER_PLUGIN, "ossl-modules/legacy.so",
	  "volumes hashed with ripemd160 or whirlpool" },
	{ "libtss2-tctildr.so.0", HELPER_LIBRARY, "libtss2-tcti-device.so.0", "the kernel's TPM" },
	{ "libmultipath.so.0", HELPER_PLUGIN, "multipath", "checkers and priorities of paths" },
	{ "dmeventd", HELPER_PLUGIN, "device-mapper", "what it does for mirrors, snapshots and pools" },
	{ "libnfsidmap.so.1", HELPER_PLUGIN, "libnfsidmap/nsswitch.so", "names of users over NFSv4" },
	{ "libnfsidmap.so.0", HELPER_PLUGIN, "libnfsidmap/nsswitch.so", "names of users over NFSv4" },

	/* programs that programs start */
	{ "mount", HELPER_TOOL, "umount", "what is mounted is unmounted" },
	{ "fsck", HELPER_TOOL, "fsck.ext4", "fsck starts one per file system" },
	{ "fsck", HELPER_TOOL, "fsck.ext3", "fsck starts one per file system" },
	{ "fsck", HELPER_TOOL, "fsck.ext2", "fsck starts one per file system" },
	{ "fsck", HELPER_TOOL, "fsck.vfat", "fsck starts one per file system" },
	{ "mke2fs", HELPER_TOOL, "mkfs.ext4", "the name that people type" },
	{ "mount.nfs", HELPER_TOOL, "mount.nfs4", "mount starts it for type nfs4" },
	{ "mount.nfs", HELPER_TOOL, "umount.nfs", "umount starts it" },
	{ "mount.nfs", HELPER_TOOL, "umount.nfs4", "umount starts it for type nfs4" },
	{ "mount.cifs", HELPER_TOOL, "mount.smb3", "mount starts it for type smb3" },
	{ "sshd", HELPER_TOOL, "ssh-keygen", "its host key is made when the rescue system starts" },
	{ "sshd", HELPER_TOOL, "/usr/lib/openssh/sshd-session", "newer releases start it for each login" },
	{ "sshd", HELPER_TOOL, "/usr/lib/openssh/sshd-auth", "newer releases start it for each login" },
	{ "dropbear", HELPER_TOOL, "dropbearkey", "its host key is made when the rescue system starts" },
	{ "lvm", HELPER_TOOL, "thin_check", "a thin pool is looked at before it is started" },
	{ "lvm", HELPER_TOOL, "cache_check", "a cache is looked at before it is started" },
	{ "mdadm", HELPER_TOOL, "mdmon", "arrays of the firmware's kind need it" },
	{ "mkfs.xfs", HELPER_TOOL, "fsck.xfs", "fsck starts it" },

	/* files that programs read */
	{ "mke2fs", HELPER_FILE, "/etc/mke2fs.conf", "mke2fs takes its defaults from it" },
	{ "e2fsck", HELPER_FILE, "/etc/e2fsck.conf", "e2fsck takes its options from it" },
	{ "lvm", HELPER_FILE, "/etc/lvm/lvm.conf", "the machine's settings: which disks are looked at" },
	{ "lvm", HELPER_FILE, "/etc/lvm/lvmlocal.conf", "the machine's settings" },
	{ "lvm", HELPER_FILE, "/etc/lvm/profile", "the machine's settings of pools" },
	{ "mdadm", HELPER_FILE, "/etc/mdadm/mdadm.conf", "the machine's arrays and their names" },
	{ "mkfs.xfs", HELPER_FILE, "/usr/share/xfsprogs/mkfs", "settings for elder kernels" },
	{ "mount.nfs", HELPER_FILE, "/etc/netconfig", "its RPC library finds transports there" },
	{ "mount.nfs", HELPER_FILE, "/etc/protocols", "its RPC library finds protocols there" },
	{ "mount.nfs", HELPER_FILE, "/etc/services", "its RPC library finds ports there" },
	{ "mount.nfs", HELPER_FILE, "/etc/rpc", "its RPC library finds programs there" },
	{ "mount.nfs", HELPER_FILE, "/etc/nfsmount.conf", "the machine's NFS options" },
	{ "libncursesw.so.6", HELPER_FILE, "/lib/terminfo/l/linux", "the console's description" },
	{ "libncursesw.so.6", HELPER_FILE, "/lib/terminfo/v/vt220", "a serial console's description" },
	{ "libtinfo.so.6", HELPER_FILE, "/lib/terminfo/l/linux", "the console's description" },
	{ "libtinfo.so.6", HELPER_FILE, "/lib/terminfo/v/vt220", "a serial console's description" },
	{ NULL },
};
