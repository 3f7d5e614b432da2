/* The TARGET argument that several commands take. */
#pragma once
#include "backup/target.h"
#include "cmd/cmd.h"
#include "conf/recovery.h"

/* OVERWRITE: a device is started anew, and a person has agreed to that. */
enum target_use { TARGET_READ, TARGET_WRITE, TARGET_OVERWRITE };

/* Opens the target that `argument` names, or recovery.conf's when it is NULL. For an SMB user without a
 * credentials file the password is asked on the terminal. Of several, "A, B", those that cannot be opened are
 * warned about and counted in `ret->missing`; that none can is the error. */
int cmd_target_open(struct cmd *c, const struct recovery_conf *conf, const char *argument,
		    enum target_use use, struct target *ret, struct error *e);

/* The same, mounted at a folder for good. */
int cmd_target_mount(struct cmd *c, const struct recovery_conf *conf, const char *argument,
		     enum target_use use, const char *folder, struct error *e);
