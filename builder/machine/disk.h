/* Writing a target disk: held exclusively, wiped, partitioned, and its partitions there to be used. */
#pragma once
#include "base/error.h"
#include "machine/model.h"

/* Opens the present disk for writing so that nobody else mounts or uses it meanwhile, and makes sure
 * that its node still is that disk. */
int disk_hold(const struct device *present, int *ret_fd, struct error *e);

/* Removes what is on it: the signatures in its old partitions and its own, and the first and last MiB. */
int disk_wipe(const struct machine *present, const struct device *disk, int fd, struct error *e);

/* Writes the table of `disk` (of the planned machine `m`) and removes old signatures from where the new
 * partitions lie. */
int disk_partition(const struct machine *m, const struct device *disk, const char *node, int fd,
		   struct error *e);

/* Lets others use the disk (or array): the kernel reads its table again; waits until every partition can be used. `*fd`
 * then only reads, but keeps the disk's names from being given to another one that is plugged in. */
int disk_release(const struct machine *m, const struct device *disk, const char *node, int *fd,
		 struct error *e);

/* Does the array, which is open for reading, have the table of the planned machine `m`? -ESTALE: another one. */
int disk_expect_table(const struct machine *m, const struct device *array, struct error *e);

/* Before a node is written: is it the disk behind `fd`, or with `number` above 0 that partition of it? A node
 * may be left over from another disk. */
int disk_check_node(int fd, const char *node, unsigned number, struct error *e);
