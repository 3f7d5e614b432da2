/* What plan and recover share: options, the set, the machine, the disks that must not be touched. */
#pragma once
#include "backup/set.h"
#include "backup/target.h"
#include "cmd/cmd.h"
#include "cmd/identity.h"
#include "conf/recovery.h"
#include "machine/plan.h"

struct recovery {
	struct recovery_conf conf;
	struct target target;
	struct set *set; /* NULL: only a machine.conf was given */
	struct strlist map; /* --map */
	struct strlist grow; /* --grow */
	struct identity identity; /* what opens the set, when it is encrypted */
	const char *url, *host, *set_name, *machine_file;
	bool unattended;
	bool yes; /* recover's --yes: nothing is asked */
	const char *
		journal; /* the folder of what was begun (machine/journal.h), and its root; NULL: do not look */
	const char *root;
};
#define RECOVERY_NONE                                                \
	{                                                            \
		.target = { .dirfd = -1 }, .identity = IDENTITY_NONE \
	}
void recovery_free(struct recovery *r);
DEFINE_CLEANUP(recovery, struct recovery, recovery_free)

enum {
	RECOVERY_HOST = CMD_FIRST_OWN,
	RECOVERY_SET,
	RECOVERY_MAP,
	RECOVERY_GROW,
	RECOVERY_MACHINE,
	RECOVERY_UNATTENDED,
	RECOVERY_FIRST_OWN
};
#define RECOVERY_OPTIONS_LONG                                             \
	{ "host", required_argument, NULL, RECOVERY_HOST },               \
		{ "set", required_argument, NULL, RECOVERY_SET },         \
		{ "map", required_argument, NULL, RECOVERY_MAP },         \
		{ "grow", required_argument, NULL, RECOVERY_GROW },       \
		{ "machine", required_argument, NULL, RECOVERY_MACHINE }, \
	{                                                                 \
		"unattended", no_argument, NULL, RECOVERY_UNATTENDED      \
	}

/* For the getopt loop, before cmd_option(). True: it was one of the options above. */
bool recovery_option(struct recovery *r, int option);

/* Reads recovery.conf and opens target and set, as far as the options name them. */
int recovery_open(struct recovery *r, struct cmd *c, struct error *e);

/* For what reads streams: an encrypted set gets its key, from --identity or from the person. */
int recovery_unlock(struct recovery *r, struct cmd *c, struct error *e);

/* What tells this backup and the choice of disks from any other, for the journal. The caller frees. */
char *recovery_source(const struct recovery *r);

/* The machine that was, the disks that are, and the plan. With a journal: if one of the same recovery is there, what
 * it left mounted is unmounted, and the plan's steps are marked as done; if it is of another one, that is said. */
int recovery_plan(struct recovery *r, struct cmd *c, struct plan *ret, struct error *e);
