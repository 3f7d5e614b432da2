/* The files that no machine has: what the rescue system is told about this build, and the few of
 * /etc and /dev that it cannot start without. */
#pragma once
#include "conf/recovery.h"
#include "image/modules.h"

#include <time.h>

struct generator {
	const struct recovery_conf *conf;
	const struct root *root;
	const struct kernel *kernel;
	const struct modules *modules;
	struct tree *tree;
	struct report *report;
	const struct strlist *loaded; /* this machine's modules in load order; may be empty */
	time_t created;
};

/* Adds them all. Paths of files with secrets are added to `secrets`. */
int generate_files(const struct generator *g, struct strlist *secrets, struct error *e);

/* The contents of rescue.env: lines NAME='value', safe for a POSIX shell to read. `keymap` and
 * `credentials` are paths inside the image or "". */
void generate_env(const struct generator *g, const char *keymap, const char *credentials, struct strbuf *ret);

/* This machine's console keymap as busybox's loadkmap reads it ("bkeymap"), made by the machine's
 * own loadkeys and ckbcomp. Returns 1 and fills `*ret`; 0 when none is needed or none can be made (a
 * warning says so); an error when the one that the person named cannot be made. */
int keymap_make(const char *wanted, const struct root *root, struct report *report, struct strbuf *ret,
		struct error *e);
