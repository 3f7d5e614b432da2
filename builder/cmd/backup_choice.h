/* What of this machine is backed up, and how: --only, --exclude and --method, and what recovery.conf says of the last two. What is
 * chosen has a stream and a method in the model, and so in machine.conf; all else loses them. */
#pragma once
#include "base/report.h"
#include "conf/recovery.h"
#include "machine/snapshot.h"

struct backup_choice {
	struct strlist only; /* mount points; empty: all */
	struct strlist exclude; /* patterns of what is left out */
	struct strlist methods; /* preferred ones, the first that suits */
	struct strlist places; /* where file systems are mounted */
	uint64_t total; /* bytes that the chosen file systems hold */
	size_t count; /* of them */
};
void backup_choice_free(struct backup_choice *c);

/* Checks what came from the command line, and adds what recovery.conf says: its patterns as well, its methods where none
 * were given. */
int backup_choice_complete(struct backup_choice *c, const struct recovery_conf *conf, struct error *e);
/* Are the snapshots of a btrfs sent, with what they share (machine/survey.h)? Not where a pattern has all of them archived, nor
 * where what is written to has no snapshot itself, being `live`. */
bool backup_sends_snapshots(const struct backup_choice *c, bool live);
/* --only. That one of its names, or the whole machine, has nothing to back up is an error. */
int backup_choose(struct backup_choice *c, struct machine *m, struct error *e);
/* Before the snapshots: the preferred one that suits, and none that would save what is to be left out. */
void backup_choose_methods(struct backup_choice *c, struct machine *m, struct report *report);
/* Once the snapshots are there: what cannot be sent without one is archived, and what shares data with another that is sent becomes
 * the difference to that. */
void backup_settle_methods(struct machine *m, const struct snapshots *snapshots, struct report *report);

bool backup_is_chosen(const struct device *d);
/* Is it chosen, by the method send? */
bool backup_is_sent(const struct device *d);
/* What --only and messages call it: a subvolume need not be mounted by itself. */
const char *backup_place(const struct device *d);
/* The one that has to be received before it; NULL: none. */
const struct device *backup_send_parent(const struct machine *m, const struct device *d);
/* The patterns that concern it. */
void backup_exclusions(const struct backup_choice *c, const struct device *d, struct strlist *ret);
