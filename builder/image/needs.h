/* Promises that somebody must make: recovery.conf's target cannot be reached without them, nor this machine be
 * made anew. What is missing is missed now, not when the machine is dead. */
#pragma once
#include "conf/profile.h"
#include "conf/recovery.h"
#include "image/root.h"

/* `folder`: where profiles are looked for that would promise what is missing. The machine counts only for profiles that
 * are about it (`machine = yes`). */
int needs_check(const struct recovery_conf *conf, const struct root *root, const struct profiles *profiles,
		const char *folder, struct error *e);

/* Adds to `names` who would promise what `profiles` lack for needs_check(), and for `lifeboat enter` what this
 * machine has. What nobody promises is left to that. */
int needs_add(const struct recovery_conf *conf, const struct root *root, const struct profiles *profiles,
	      const char *folder, struct strlist *names, struct error *e);
