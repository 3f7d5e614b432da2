/* Old backups go, as recovery.conf's `keep` says: after a backup, and by `lifeboat sets --prune`. */
#pragma once
#include "backup/set.h"
#include "cmd/cmd.h"
#include "conf/recovery.h"

/* Removes in each of the targets what is no longer to be kept of `host`, and says so; with keep = all, nothing. `locked`:
 * a set_writer holds the locks. `dry_run`: only prints, on stdout, what would go. */
int cmd_prune(struct cmd *c, const struct recovery_conf *conf, const struct target *target, const char *host,
	      bool locked, bool dry_run, struct error *e);
