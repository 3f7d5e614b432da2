#include "image/tools.h"

const struct helper helpers[] = {
	/* libraries that are opened while a program runs */
	{ "libc.so.6", HELPER_LIBRARY, "libnss_files.so.2", "users, hosts and services out of /etc" },
	{ "libc.so.6", HELPER_LIBRARY, "libnss_dns.so.2", "host names by DNS" },
	{ "libc.so.6", HELPER_LIBRARY, "libgcc_s.so.1", "ending a thread needs it" },
	{ "libkmod.so.2", HELPER_LIBRARY, "libzstd.so.1", "newer releases open it for .ko.zst" },
	{ "libkmod.so.2", HELPER_LIBRARY, "liblzma.so.5", "newer releases open it for .ko.xz" },
	{ "libkmod.so.2", HELPER_LIBRARY, "libz.so.1", "newer releases open it for .ko.gz" },

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

	/* files that programs read */
	{ "mke2fs", HELPER_FILE, "/etc/mke2fs.conf", "mke2fs takes its defaults from it" },
	{ "e2fsck", HELPER_FILE, "/etc/e2fsck.conf", "e2fsck takes its options from it" },
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
