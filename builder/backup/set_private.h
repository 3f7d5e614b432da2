/* What the files that read and write sets share. Private to this room. */
#pragma once
#include "backup/levels.h"
#include "backup/set.h"
#include "base/digest.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

/* SHA256SUMS in memory: sha256sum(1)'s format, "HEX  NAME". */
#define SUMS_FILE "SHA256SUMS"
struct sum {
	char *name;
	char hex[DIGEST_HEX_SIZE];
};
struct sums {
	struct sum *items;
	size_t count, capacity;
};
void sums_add(struct sums *s, const char *name, const char hex[DIGEST_HEX_SIZE]);
const struct sum *sums_find(const struct sums *s, const char *name);
void sums_format(const struct sums *s, struct strbuf *ret);
/* Refuses what sums_format() would not have written. `shown` names the set in errors. */
int sums_parse(const char *text, const char *shown, struct sums *ret, struct error *e);
void sums_free(struct sums *s);
DEFINE_CLEANUP(sums, struct sums, sums_free)

/* Names of files and folders that may go into a set or be a host's folder. */
bool set_name_good(const char *name);

/* The entries of a folder, sorted, without those that begin with a dot. */
int set_read_folder(int dirfd, const char *name, const char *shown, struct strlist *ret, struct error *e);

#define PARTIAL_SUFFIX ".partial"
#define SET_STAMP "%Y%m%dT%H%M%SZ" /* for strftime(3), in UTC */
enum { SET_STAMP_SIZE = sizeof("YYYYMMDDTHHMMSSZ") };
/* "YYYYMMDDTHHMMSSZ-LEVEL", with or without ".partial". `ret_*` may be NULL. */
bool set_folder_name(const char *name, unsigned *ret_level, bool *ret_complete);

/* "NAME.METHOD.zst.NNN", and ".age" behind that when it is encrypted → NNN, when it is a chunk of that stream; -1 when it is not. */
int chunk_number(const char *file, const char *name, const char *method);
/* A chunk of a stream, encrypted or not; NULL: there is none. */
const struct sum *chunk_find(const struct sums *s, const char *name, const char *method, unsigned number);
/* Is the file of that name encrypted? */
bool chunk_is_sealed(const char *file);

enum { SET_COPIES_MAX = 8, SET_SMALL_MAX = 16 << 20 /* bytes of a small file */ };

/* An open set in one of its places. */
struct set_copy {
	struct target *target;
	int dirfd;
	unsigned opened; /* how often: whoever failed with an older one only has to look again */
	bool gone; /* its server did not answer; others are asked first */
};

/* An open set. */
struct set {
	struct set_copy *copies; /* at least one; the first is preferred */
	size_t copy_count;
	char *shown; /* HOST/NAME */
	struct sums sums;
	unsigned *
		whole; /* for each sum: a copy that is known to hold that file whole, + 1; 0: not looked at yet */
	pthread_mutex_t lock; /* of the copies */
	struct levels levels; /* of a set without set.conf: level 0, no streams */
	struct set *base; /* open; NULL when it stands alone */
	int state_fd; /* what this machine has kept of its listings; -1: nothing */
	const struct age_key *key; /* opens what is encrypted; the caller's; NULL: there is none */
};
/* The SHA-256 of the set's SHA256SUMS: which set it is. */
void set_sums_digest(const struct set *s, char ret_hex[DIGEST_HEX_SIZE]);

/* A file of one copy, read in order. A server that goes away is waited for and mounted again, as long as no other
 * copy can be asked; the reading goes on where it was. Threads may read files of one set at a time. */
struct set_file {
	struct set *s;
	size_t copy;
	const char *name;
	int fd;
	unsigned opened; /* the copy's, when `fd` was opened */
	unsigned failures; /* since the last byte */
	uint64_t offset; /* of the next byte */
	uint64_t at, size; /* on a device: where the file lies, and its bytes; else 0 and UINT64_MAX */
};
#define SET_FILE_NONE     \
	{                 \
		.fd = -1, \
	}
/* Errors say "TARGET: HOST/SET/NAME" when the set has several copies, else "HOST/SET/NAME". */
int set_file_open(struct set *s, size_t copy, const char *name, uint64_t offset, struct set_file *ret,
		  struct report *report, struct error *e);
/* Up to `len` bytes; fewer only at the end. */
ssize_t set_file_read(struct set_file *f, void *data, size_t len, struct report *report, struct error *e);
int set_file_size(struct set_file *f, uint64_t *ret, struct error *e);
void set_file_close(struct set_file *f);
DEFINE_CLEANUP(set_file, struct set_file, set_file_close)
/* The set's name in messages about one copy. The caller frees. */
char *set_copy_shown(const struct set *s, size_t copy);
/* Which copy is to be asked for a file: not one of those in `tried` (bit n: copy n), one that answers first.
 * -1: there is none. */
int set_copy_next(struct set *s, unsigned tried);
/* The same after one has failed, which is noted in `tried` (0 at first). */
int set_copy_after(struct set *s, size_t failed, unsigned *tried);

/* Looks where a file is whole, hashing it in each copy until one is, and notes it in `s->whole`. `done` (may be
 * NULL) grows by the bytes as they are read. What is damaged in one copy and whole in another is a warning. */
int set_find_whole(struct set *s, const struct sum *sum, char *buffer, size_t size,
		   atomic_uint_fast64_t *done, struct report *report, struct error *e);
/* The copy that is known to hold it whole, or else the first that is to be asked. */
size_t set_copy_of(struct set *s, const struct sum *sum);
/* The chunks of a stream in order, from its sums: a gap or no chunk at all is an error. The items are
 * the set's. The caller frees the array. */
int set_stream_chunks(const struct set *s, const char *name, const char *method, const struct sum ***ret,
		      size_t *ret_count, struct error *e);

/* Bytes of a chunk, where it can be read. */
int set_chunk_size(struct set *s, const struct sum *chunk, uint64_t *ret, struct report *report,
		   struct error *e);

/* One place in which a set is written. */
struct set_place {
	int hostfd, dirfd, lockfd;
	char *partial; /* the folder's name; NULL once there is nothing to remove */
	char *shown; /* TARGET/HOST */
	bool failed; /* nothing more is done here */
	struct tape_writer *tape; /* on a device: all that follows is not used; NULL in a folder */
	const struct target *target;
	struct report *report; /* of set_place_open() */
	/* the open file */
	int fd;
	char *file; /* its name */
	uint64_t len, flushed;
	char *kept; /* on a server: the bytes from `flushed` to `len`, which are written again when it went away meanwhile */
};
/* Locks the host's folder and removes what killed backups left there. */
int set_place_open(const struct target *target, const char *host, struct set_place *ret,
		   struct report *report, struct error *e);
/* The name of the newest set there, complete or not; NULL: there is none. The caller frees. */
int set_place_newest(const struct set_place *p, char **ret, struct error *e);
int set_place_begin(struct set_place *p, const char *name, struct error *e);
/* One file at a time: begun, written, ended (and then on disk). */
int set_place_file(struct set_place *p, const char *name, struct error *e);
int set_place_write(struct set_place *p, const void *data, size_t len, struct error *e);
int set_place_file_end(struct set_place *p, struct error *e);
int set_place_commit(struct set_place *p, const char *name, struct error *e);
/* Removes what was not committed. */
void set_place_close(struct set_place *p);

/* A set being written. */
struct set_writer {
	struct set_place places[SET_COPIES_MAX];
	size_t place_count, left,
		failed; /* `left` of them have not failed; `failed`: also those that could not be opened */
	char *name; /* of its folder */
	char *shown; /* TARGET/HOST */
	struct report *report; /* the caller's of set_begin() */
	uint64_t chunk_size;
	struct sums sums;
	uint64_t plain, packed; /* bytes of all streams so far */
	struct levels levels;
	const struct strlist *recipients; /* who can read it, the caller's; NULL: everybody */
	struct set *base; /* that this one goes on from, open; NULL: none */
	char *state; /* where its listings are kept for the next level; NULL: they are not */
};

/* Does something in each place that is left. One in which it fails is given up, with a warning; the last one's failure
 * is the error. */
int set_each_place(struct set_writer *w, int (*step)(struct set_place *p, void *user, struct error *e),
		   void *user, struct error *e);

/* One backup of a host at a time. The lock is the kernel's (flock, which SMB and NFS carry to the
 * server), so that it ends with its holder; the file stays. Held by another: -EBUSY, with what the file
 * says about the holder. */
int host_lock(int hostfd, const char *shown, int *ret_fd, struct error *e);

/* What this machine keeps of an encrypted set, so that levels need no key (set_state.c). What cannot be kept is a warning. */
void state_begin(struct set_writer *w, const char *folder);
int state_file(struct set_writer *w,
	       const char *name); /* a descriptor for the two below; -1: it is not kept */
void state_write(struct set_writer *w, int fd, const void *data, size_t len);
void state_file_end(struct set_writer *w, int fd);
void state_commit(struct set_writer *w, const char *sums_hex); /* the SHA-256 of its SHA256SUMS */
void state_abort(struct set_writer *w);
int state_find(const struct set_writer *w,
	       const char *folder); /* of the base: for `state_fd`; -1: nothing was kept */
bool state_has(const struct set *s, const char *name, const char *method);
int state_read(const struct set *s, const char *name, const char *method, int out_fd, struct error *e);

/* What a network file system's calls fail with when it is the server or the way to it that fails. */
bool network_failed(int code);

/* fsync of a folder; some network file systems have none, and need none. */
int flush_folder(int fd);
