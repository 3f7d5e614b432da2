/* One backup: HOST/YYYYMMDDTHHMMSSZ-LEVEL/ with machine.conf, streams cut into chunks
 * (NAME.METHOD.zst.NNN, each whole zstd frames, or NAME.METHOD.zst.NNN.age, that encrypted), RECOVER.txt and SHA256SUMS. Until it is complete
 * its folder's name ends in `.partial`. */
#pragma once
#include "backup/age.h"
#include "backup/target.h"
#include "base/error.h"
#include "base/report.h"
#include "base/str.h"

#include <stdint.h>

/* ---- reading ---- */

struct set_info {
	char *host, *name; /* folder names */
	unsigned level;
	char *base; /* the name of the set that it goes on from; NULL: it stands alone */
	char *exclude; /* patterns of what was left out of it, with blanks between; NULL: none */
	bool encrypted; /* files of it are */
	bool complete; /* not .partial */
	uint64_t size; /* bytes of all its files */
};
struct set_list {
	struct set_info *items; /* by host, then oldest first */
	size_t count, capacity;
};
int set_list(const struct target *target, struct set_list *ret, struct error *e);
void set_list_free(struct set_list *l);
DEFINE_CLEANUP(set_list, struct set_list, set_list_free)

struct set;

/* Opens a complete set. `host` NULL: the only host there is (more than one: an error that lists
 * them). `name` NULL: the newest complete one. Reads and checks SHA256SUMS' own form. With replicas of the target,
 * what is bad or gone in one place is read from another, with a warning; a server that goes away is waited for
 * (target_options.retry) when there is no other. The target outlives the set.
 * The sets that it goes on from are opened with it: one that is missing, or is not the one that it was, is an
 * error. */
int set_open(struct target *target, const char *host, const char *name, struct set **ret,
	     struct report *report, struct error *e);
void set_close(struct set *s);
static inline void cleanup_set(struct set **s)
{
	set_close(*s);
}
const char *set_shown(const struct set *s); /* "HOST/NAME" */
/* "HOST/NAME" and the hash of its SHA256SUMS: no other set has the same. The caller frees. */
char *set_identity(const struct set *s);
unsigned set_level(const struct set *s);
/* The patterns of what was left out of any of its streams. */
void set_exclusions(const struct set *s, struct strlist *ret);
struct set *set_base(const struct set *s); /* that it goes on from, open as long as it is; NULL: none */

/* Is every byte what was written: every file listed in SHA256SUMS is there, whole and equal, and
 * no chunk of a stream is missing. The first that is not is the error. */
int set_verify(struct set *s, struct report *report, struct error *e);

/* Do the listings of its streams agree with them: each frame where the index says; `deep`: every stream is unpacked and read, and
 * every file in it is what was listed, by its SHA-256. For a set that set_verify() found good. */
int set_check_listings(struct set *s, bool deep, struct report *report, struct error *e);

/* Are streams of the set, or of one that it goes on from, encrypted (age.h)? Its machine.conf, set.conf and RECOVER.txt never are. */
bool set_encrypted(const struct set *s);
/* The key that opens them, for the set and those that it goes on from; it stays the caller's. */
void set_use_key(struct set *s, const struct age_key *key);
/* Does the key open every encrypted stream: the beginning of each is decrypted. For before a disk is touched; the rest
 * is set_verify()'s, and age's while it is read. */
int set_check_key(struct set *s, struct report *report, struct error *e);

/* machine.conf of the set, checked against its sum. The caller frees. */
int set_machine_conf(struct set *s, char **ret_text, struct report *report, struct error *e);

/* Can this stream be restored at all: the method is known, and every chunk is listed. For before a disk is
 * written; what is in the chunks is set_verify()'s. */
int set_check_stream(const struct set *s, const char *name, const char *method, struct error *e);

/* Writes the plain stream NAME.METHOD to `out_fd`, checking every chunk against its sum while it
 * goes by. The caller must treat any error as a failed restore even when the reader was happy. */
int set_read_stream(struct set *s, const char *name, const char *method, int out_fd, struct report *report,
		    struct error *e);

/* Restores the stream into the mounted, empty folder by its method (restore(8) for dump), or onto the device node
 * `folder` when it is an image (method raw): both the
 * stream's sums and the program's exit status count. */
int set_restore_stream(struct set *s, const char *name, const char *method, const char *folder,
		       struct report *report, struct error *e);
/* Are the first bytes of the device those of the stream NAME.raw? */
int set_compare_image(struct set *s, const char *name, const char *node, bool *ret_equal,
		      struct report *report, struct error *e);

/* Method send only, before set_restore_stream(): takes the stream in as a read-only subvolume below the folder, which is that of a btrfs
 * mounted as a whole. Those that it shares data with come first. */
int set_receive_stream(struct set *s, const char *name, const char *method, const char *folder,
		       struct report *report, struct error *e);

/* ---- removing ---- */

struct set_prune_options {
	unsigned full, incremental; /* how many of them stay, the newest ones; UINT_MAX: all */
	bool dry_run; /* only says what would go */
	bool locked; /* the caller's set_writer holds the lock of the host, and was committed */
};
/* Removes old sets of a host, in this target alone, not in its replicas. The newest full set stays, and whatever one that stays
 * goes on from; remains of killed backups go when they are a day old. Nothing is removed when the newest full set lacks
 * a file or a base is missing. -EBUSY while a backup is written there. `ret`: what went, newest first. */
int set_prune(const struct target *target, const char *host, const struct set_prune_options *options,
	      struct set_list *ret, struct report *report, struct error *e);

/* ---- writing ---- */

struct set_writer;

/* `level` above 0: what changed since the newest complete set of a lower level, dump(8)'s rule, that all replicas hold;
 * there is none: an error. Locks the host's folder against other backups (-EBUSY when one is running) and removes what killed
 * ones left there. The set is written to all replicas of the target at a time; one that fails is given up with a
 * warning, the last one's failure is the error. `report` is kept. `chunk_size`: bytes of a chunk at most, 4096 or more. */
int set_begin(struct target *target, const char *host, unsigned level, uint64_t chunk_size,
	      struct set_writer **ret, struct report *report, struct error *e);
/* All streams are encrypted to these public keys from here on (age.h); they stay the caller's. `key`: opens the set that it goes
 * on from, whose listings are needed; may be NULL when that is in the clear, or when this machine has kept them in the folder
 * `state`. There they are kept for the next level, too, in the clear; NULL: nothing is kept. */
int set_writer_encrypt(struct set_writer *w, const struct strlist *recipients, const struct age_key *key,
		       const char *state, struct error *e);
/* In how many replicas it failed, which has been said; the set is whole in the others. */
size_t set_writer_failed(const struct set_writer *w);
/* The name that it will have, and the files that it has so far; those of the sets below as "../SET/FILE". */
const char *set_writer_name(const struct set_writer *w);
void set_writer_files(const struct set_writer *w, struct strlist *ret);
/* The sets that have to be restored for the stream NAME, this one last, as what stands before the names of
 * their files, seen from this one: "../SET/", "". */
void set_writer_chain(const struct set_writer *w, const char *name, struct strlist *ret);
/* A small file (machine.conf, RECOVER.txt). */
int set_add_file(struct set_writer *w, const char *name, const void *data, size_t len, struct error *e);
/* Everything read from `in_fd` until its end, compressed and cut; `total` bytes are expected (0:
 * unknown): chunks grow when there would be too many. The caller begins and ends the report's progress,
 * and checks the producer's exit status before commit. */
int set_add_stream(struct set_writer *w, const char *name, const char *method, int in_fd, uint64_t total,
		   struct report *report, struct error *e);
/* Where a file system is read: as it is, or a snapshot of it. The strings are the caller's. */
struct set_source {
	const char *folder; /* where it is mounted */
	const char *shown; /* what people call it; NULL: the folder */
	dev_t device; /* its own number; another one at the folder is an error */
	uint64_t total; /* bytes that it holds, about */
	const struct strlist
		*exclude; /* patterns of what is left out (exclude.h), without blanks; `shown` is what they
					* begin with. set_method_excludes() has to allow it. NULL: nothing */
	int64_t as_of; /* of a snapshot: when it was taken, in seconds since 1970; 0: it lives */
	const char *
		parent; /* of a snapshot of a btrfs: the folder of another one in the same set, which it shares data with; NULL: none */
	ino_t placeholder; /* of a snapshot: the number of folders that stand for others in it; 0: there are none */
};
/* The file system as the stream NAME.METHOD, with what the method drops (NAME.times). */
int set_save_filesystem(struct set_writer *w, const char *name, const char *method,
			const struct set_source *source, struct report *report, struct error *e);
/* Can the method be chosen for file systems of that type, which have one of their own already? */
bool set_method_suits(const char *method, const char *type);
/* Can a method leave out single files? */
bool set_method_excludes(const char *method);
/* The first `size` bytes of the device as the stream NAME.raw. */
int set_save_image(struct set_writer *w, const char *name, const char *node, uint64_t size,
		   struct report *report, struct error *e);
/* Bytes of all streams so far, before and after compression. */
void set_written(const struct set_writer *w, uint64_t *ret_plain, uint64_t *ret_packed);
/* SHA256SUMS last, everything flushed, then the rename. Returns the set's final name in
 * `*ret_name` (caller frees). */
int set_commit(struct set_writer *w, char **ret_name, struct error *e);
/* Removes what was not committed. */
void set_abort(struct set_writer *w);
static inline void cleanup_set_writer(struct set_writer **w)
{
	set_abort(*w);
}
