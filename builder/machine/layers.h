/* Layers in this very system: found by survey, made and let go by recovery. One file for each kind of them:
 * layer-raid.c, layer-crypt.c, layer-lvm.c. What they have in common: layer.h. */
#pragma once
#include "base/error.h"
#include "base/report.h"
#include "machine/commands.h"
#include "machine/model.h"

/* Appends to `m`, whose plain devices have their node numbers, every layer that is made of them and running, in
 * dependency order and with its content's kind. One that cannot be made again is an error that says why. */
int survey_layers(struct machine *m, struct report *report, struct error *e);

/* Where the plan puts a device: its node. The caller frees. */
typedef char *(*node_of)(const void *user, const struct device *d);

/* The programs that make a layer of what is below it, in order. */
void raid_commands(const struct device *raid, node_of node, const void *user, struct commands *ret);
/* A fresh header; the passphrase is asked for by cryptsetup, or read from `key_file` unless NULL. */
void crypt_format_command(const struct device *crypt, node_of node, const void *user, const char *key_file,
			  struct commands *ret);
void crypt_open_command(const struct device *crypt, node_of node, const void *user, const char *key_file,
			struct commands *ret);
/* The group with all its volumes; LVM gives it and them new UUIDs. */
void group_commands(const struct machine *m, const struct device *group, node_of node, const void *user,
		    struct commands *ret);

/* What is done to a group once nothing is written into its volumes any more: those that were read-only are so again. */
void group_seal_commands(const struct machine *m, const struct device *group, struct commands *ret);
int layer_seal(const struct machine *m, const struct device *d, struct error *e);

/* Makes a layer on the nodes that the plan gives, and starts it. A group comes with all its volumes. What is a key
 * file or a person's answer is asked for a crypt. The layers below are there. */
struct layer_options {
	node_of node;
	const void *user;
	const char *key_file; /* NULL: the person is asked */
};
int layer_make(const struct machine *m, const struct device *d, const struct layer_options *o,
	       struct error *e);
/* Starts one that was made before and stopped. First all that it lies on is looked at: -ESTALE when that does not bear
 * the identifiers of `d`; -ENOTRECOVERABLE when it does, but the layer does not come up whole. */
int layer_open(const struct machine *m, const struct device *d, const struct layer_options *o,
	       struct error *e);
/* Stops a layer that layer_make() or a try of it started. An error when it has lost a member meanwhile; stopped it is all the same. */
int layer_close(const struct device *d, struct error *e);
/* Stops it if something of this name is running; nothing happens to what is on it. Any device. */
int layer_clear(const struct device *d, struct error *e);
/* Does the LUKS header in the file `header` have the UUID of `crypt`, and does the key (or the person's passphrase) open
 * it? Nothing is opened. 1: that cannot be tried here, `e` says why. -ENOKEY: it is another one. */
int crypt_try_key(const struct device *crypt, const char *header, const char *key_file, struct error *e);
/* Is there something of this name that does not lie on the disks, which will be wiped, or is the program missing that
 * makes it? Then the error says so. */
int layer_check_free(const struct device *d, const dev_t disks[], size_t count, struct error *e);
