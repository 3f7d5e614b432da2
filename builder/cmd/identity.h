/* The key of encrypted sets, from --identity FILE or typed on the terminal; it stays in this process. */
#pragma once
#include "backup/set.h"
#include "cmd/cmd.h"
#include "conf/recovery.h"

struct identity {
	const char *path; /* --identity, or that of recovery.conf; NULL: neither */
	struct age_key key; /* once it was read */
};
#define IDENTITY_NONE                \
	{                            \
		.key = AGE_KEY_NONE, \
	}
void identity_free(struct identity *i);
DEFINE_CLEANUP(identity, struct identity, identity_free)

/* Without --identity, that of recovery.conf counts, where it is there. `conf` has to live as long as the identity. */
void identity_configure(struct identity *i, const struct recovery_conf *conf);
/* Gives an encrypted set its key, and looks whether that opens every stream. Without --identity the key, or a file that holds
 * it, is asked for if `ask` is true and there is a terminal; otherwise that it is missing is the error. It has to live
 * as long as the set. */
int identity_give(struct identity *i, struct set *s, bool ask, struct report *report, struct error *e);
/* The key of --identity; NULL: none was named. */
int identity_read(struct identity *i, const struct age_key **ret, struct error *e);
