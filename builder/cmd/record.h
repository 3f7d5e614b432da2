/* What the last medium was made of, for `lifeboat check`: a folder ($LIFEBOAT_STATE, or /var/lib/lifeboat) with
 * three files that appear together or not at all:
 *
 *     stick.conf      when, which medium, which kernel, which configuration
 *     stick.sha256    image_manifest()
 *     machine.conf    this machine as it was then; empty where it could not be surveyed */
#pragma once
#include "base/digest.h"
#include "cmd/medium.h"

struct record {
	char *medium, *kernel, *conf; /* `conf`: the SHA-256 of recovery.conf, "none" without */
	char *profiles; /* -p of the command line, between blanks; "" without */
	char *kernel_wanted; /* -k, or "" */
	time_t created;
	char *files, *machine; /* texts */
};
void record_free(struct record *r);
DEFINE_CLEANUP(record, struct record, record_free)

/* After a medium was made: `path` is where it is. What cannot be recorded is warned about, since the medium is good
 * all the same; an ordinary user's media are not recorded. */
void record_save(struct cmd *c, const struct medium *m, const char *kernel, const char *path);

/* The folder that the machine keeps what it knows in. */
const char *record_folder(void);

int record_load(struct record *ret, struct error *e);

/* The SHA-256 of the configuration that is used now, or "none". */
int record_conf_sum(const struct recovery_conf *conf, char ret_hex[DIGEST_HEX_SIZE], struct error *e);
