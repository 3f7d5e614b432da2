/* How far a recovery has come, so that one that was killed, or that failed, goes on from there.
 *
 * It lives in memory (/run): a disk has no place for it before its table is written, and none that an outsider could
 * not have copied afterwards. So a reboot starts over, which is always right. It belongs to one plan: the machine,
 * the set, the disks, every step and the boot are hashed, and another plan never goes on with it. */
#pragma once
#include "machine/plan.h"

#define JOURNAL_FOLDER "/run/lifeboat"

struct journal {
	char *plan; /* journal_hash() of the plan it belongs to; NULL: there is no journal */
	size_t done; /* so many steps */
	struct strlist map; /* "old=new": the disks that it works on, by name */
};
void journal_free(struct journal *j);
DEFINE_CLEANUP(journal, struct journal, journal_free)

/* One recovery at a time: it is known by a lock in `folder` (which is made) that ends with its holder. -EBUSY: one
 * is running. The caller closes. */
int journal_lock(const char *folder, int *ret_fd, struct error *e);

/* Nothing there: `ret` is empty. What nobody could have written is an error. */
int journal_read(const char *folder, struct journal *ret, struct error *e);

/* `done` steps of `p` are done. `source` tells the set from any other. */
int journal_write(const char *folder, const struct plan *p, const char *source, size_t done, struct error *e);

/* There was none: good as well. */
void journal_remove(const char *folder);

/* Marks the steps of `p` that need not be done again. Refused when the journal is of another plan, or when a disk's
 * table is no longer what the journal says was written; `p` is then as it was. What was made in the partitions
 * (layers, file systems) is looked at by plan_apply() when it comes to it. */
int journal_continue(const struct journal *j, const char *source, struct plan *p, struct error *e);
