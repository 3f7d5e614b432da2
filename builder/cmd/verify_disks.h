/* lifeboat verify --disks: is what is on these disks what the backup had? */
#pragma once
#include "cmd/cmd.h"
#include "cmd/identity.h"

struct verify_disks {
	struct identity *identity;
	const char *url, *host, *set; /* as in `lifeboat verify`; NULL: the default */
	const char *key_file; /* for LUKS; NULL: asked for on a terminal */
	struct strlist map; /* "old=new": which disk took whose place */
	double share; /* 0 to 1: of the files whose content is compared */
	uint64_t seed;
};

int cmd_verify_disks(struct cmd *c, const struct verify_disks *v);
