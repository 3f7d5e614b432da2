/* Between layers.c and the files of the kinds. */
#pragma once
#include "base/proc.h"
#include "machine/layers.h"

#include <jansson.h>

/* A running md or device-mapper device, as /sys/block/NAME shows it; what is below it is in `m`. */
struct sysfs_layer {
	struct machine *m;
	const char *name; /* md0, dm-3 */
	dev_t number;
	uint64_t size;
};
/* An attribute without its newline; NULL when it is not there. The caller frees. */
char *sysfs_text(const struct sysfs_layer *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same as a number; 0 when it is none. */
uint64_t sysfs_number(const struct sysfs_layer *s, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* The device whose number is "MAJOR:MINOR"; NULL when it is none of the machine. */
struct device *sysfs_find(const struct machine *m, const char *number);
/* The number of the one device that it is made of; NULL when there are several. The caller frees. */
char *sysfs_slave(const struct sysfs_layer *s);

/* What is set for the programs below. */
const char *const *layer_env(void);
/* Runs one after the other. `options` may be NULL. */
int layer_run(const struct commands *all, const struct proc_options *options, struct error *e);

/* -ESTALE: what is on the node of `below` has not the type that it had when it was made a member, or another UUID. */
int layer_expect(const struct device *below, const char *uuid, const struct layer_options *o,
		 struct error *e);
/* -ENOTRECOVERABLE, with the reason. */
int layer_not_whole(const struct device *d, const char *why, struct error *e);

int raid_survey(const struct sysfs_layer *s, struct report *report, struct error *e);
int raid_make(const struct device *d, const struct layer_options *o, struct error *e);
int raid_open(const struct device *d, const struct layer_options *o, struct error *e);
int raid_close(const struct device *d, struct error *e);
/* Do all of its members that are there still run? */
int raid_check_whole(const struct device *d, struct error *e);
bool raid_is_running(const struct device *d);

/* `s->name` is dm-N; `name` is that of /dev/mapper. */
int crypt_survey(const struct sysfs_layer *s, const char *name, struct report *report, struct error *e);
int crypt_make(const struct device *d, const struct layer_options *o, struct error *e);
int crypt_open(const struct device *d, const struct layer_options *o, struct error *e);
int crypt_close(const struct device *d, struct error *e);
bool crypt_is_running(const struct device *d);

/* What one of LVM's reports ("vgs", whose rows are called "vg") says in these fields: an array of objects with
 * strings; sizes are in bytes. The caller drops it. */
int lvm_rows(const char *program, const char *kind, const char *fields, json_t **ret, struct error *e);
/* For --config where the machine is only looked at, or left as it was: nothing in its own notes in /etc/lvm, which are in the
 * backup (LVM writes them also when it is asked and finds them old), and no dmeventd that stays. See lvm.conf(5). */
#define LVM_TRACELESS "activation/monitoring=0 backup/archive=0 backup/backup=0"

/* What LVM knows of its groups, devices and volumes. */
struct lvm;
int lvm_load(struct lvm **ret, struct error *e);
void lvm_free(struct lvm *l);
static inline void cleanup_lvm(struct lvm **l)
{
	lvm_free(*l);
}
/* Appends each group that is not there yet and whose devices all are, with its volumes. `*ret_progress` is set when
 * there was one. */
int lvm_survey(const struct lvm *l, struct machine *m, bool *ret_progress, struct report *report,
	       struct error *e);
int group_make(const struct machine *m, const struct device *d, const struct layer_options *o,
	       struct error *e);
int group_open(const struct machine *m, const struct device *d, const struct layer_options *o,
	       struct error *e);
int group_close(const struct device *d, struct error *e);
bool group_is_running(const struct device *d);
/* Does a group of that name have a device that does not lie on these disks? */
bool group_is_elsewhere(const struct device *d, const dev_t disks[], size_t count);

/* In a text of vgcfgbackup(8), puts the UUIDs of the group and its volumes in place of those that LVM gave them.
 * The caller frees. */
int lvm_set_ids(const char *text, const struct machine *m, const struct device *group, char **ret,
		struct error *e);
