/* recovery.conf: everything a site decides, with a default for each. */
#pragma once
#include "base/error.h"
#include "base/str.h"
#include "conf/ini.h"

#include <stdbool.h>
#include <stdint.h>

struct recovery_conf {
	char *path; /* the file it came from; NULL: none was found, these are the defaults */
	struct ini ini; /* that file, for the lines of recovery_conf_error() */
	/* [image] */
	struct strlist profiles; /* names below the profile folders, and PROFILES_AUTO */
	char *kernel; /* "running", a version, a vmlinuz or a .deb */
	char *format; /* cpio, cramfs or ext2 */
	char *compress; /* zstd, xz, gzip, lz4, none */
	unsigned level; /* of the compressor; 0: its default here */
	uint64_t ext2_margin; /* bytes that stay free in an ext2 image */
	char *overlay; /* a site's own overlay folder, or NULL */
	char *microcode; /* "no", for the CPU of this "machine", or "all" */
	uint64_t max_initrd; /* bytes; 0: no limit */
	bool pack_secrets; /* the credentials file goes into the image (mode 0600 then) */
	bool pack_identity; /* so does the key of encrypted backups */
	/* [network] of the rescue system */
	char *interface; /* auto, a name, or a MAC address */
	char *address; /* dhcp, none, or ADDRESS/PREFIX */
	char *gateway, *dns; /* NULL: none (static) or from DHCP */
	/* [backup] */
	char *target; /* a URL, or several, see recovery_split_targets(); or NULL */
	char *credentials; /* a mode 0600 file with username=, password=, domain= lines, or NULL */
	bool snapshots; /* are read where there can be some */
	struct strlist
		encrypt_to; /* public keys of age, and absolute paths of files with such; empty: not encrypted */
	char *smb_security; /* "server": what the server wants; "sign", "seal": no less than that */
	char *identity; /* a mode 0600 file with keys of age that open encrypted backups, or NULL */
	struct strlist methods; /* of saving file systems, the preferred ones; none: each one's own */
	struct strlist exclude; /* patterns of what is not backed up: paths, or names */
	struct strlist leave_out; /* disks and others that are not backed up, by name or path in /dev */
	char *keep; /* "all", or for recovery_parse_keep() */
	unsigned timeout; /* seconds after which a server that is silent counts as dead */
	unsigned max_age; /* hours that the last backup may be old for `lifeboat check`; 0: any */
	unsigned prove_every; /* hours that the last proof may be old for it; 0: none is wanted */
	unsigned retry; /* seconds for which a server that went away is tried again */
	uint64_t chunk; /* bytes of a chunk of a stream */
	/* [console] */
	struct strlist consoles; /* kernel console= values, the last is /dev/console */
	char *keymap; /* auto: this machine's; or a keymap name; or none */
	char *menu_timeout; /* seconds of the boot menu */
	/* [ssh] into the rescue system, [wifi] out of it */
	char *authorized_keys; /* a file with public keys; NULL: that of this machine's root */
	char *host_keys; /* "fresh" at each boot, or those of the "machine" */
	char *wifi_config; /* a mode 0600 file as wpa_supplicant.conf(5) has it, or NULL */
	/* [recover] */
	bool unattended; /* the stick recovers by itself, onto blank or known disks only */
	/* [prove] */
	char *prove_ready; /* what the machine's console shows once it is up; NULL: a login */
	struct strlist prove_ports; /* TCP ports that must answer then */
	unsigned prove_timeout; /* seconds that it may take */
};

/* Where it is looked for when `-c` names none. */
#define RECOVERY_CONF_SYSTEM "/etc/lifeboat/recovery.conf"
#define RECOVERY_CONF_LOCAL "./recovery.conf"

/* Reads and checks `path`, or the first default place that has one, or takes the defaults. */
int recovery_conf_load(const char *path, struct recovery_conf *ret, struct error *e);
/* Sets one key as the file would, for options of the command line. A bad value is -EINVAL:
 * "bad compress 'foo'; expected …". */
int recovery_conf_set(struct recovery_conf *c, const char *section, const char *key, const char *value,
		      struct error *e);
/* "FILE:LINE: text" as -`code`: something is wrong with what this key says, or with not saying it. */
int recovery_conf_error(const struct recovery_conf *c, const char *section, const char *key, int code,
			struct error *e, const char *fmt, ...) __attribute__((format(printf, 6, 7)));
/* "URL, URL": targets that are to hold the same backups. A ',' is part of a URL unless another one begins behind it. */
void recovery_split_targets(const char *text, struct strlist *ret);
/* "4 full, 7 incremental": how many backups stay; UINT_MAX for what it does not name. 0 or -EINVAL. */
int recovery_parse_keep(const char *text, unsigned *ret_full, unsigned *ret_incremental);
void recovery_conf_free(struct recovery_conf *c);
DEFINE_CLEANUP(recovery_conf, struct recovery_conf, recovery_conf_free)
