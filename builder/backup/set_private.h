/* What the files that read and write sets share. Private to this room. */
#pragma once
#include "backup/set.h"
#include "base/digest.h"

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
/* "YYYYMMDDTHHMMSSZ-LEVEL", with or without ".partial". `ret_*` may be NULL. */
bool set_folder_name(const char *name, unsigned *ret_level, bool *ret_complete);

/* "NAME.METHOD.zst.NNN" → NNN, when it is a chunk of that stream; -1 when it is not. */
int chunk_number(const char *file, const char *name, const char *method);

/* An open set. */
struct set {
	int dirfd;
	char *shown; /* HOST/NAME */
	struct sums sums;
};
/* The chunks of a stream in order, from its sums: a gap or no chunk at all is an error. The items are
 * the set's. The caller frees the array. */
int set_stream_chunks(const struct set *s, const char *name, const char *method, const struct sum ***ret,
		      size_t *ret_count, struct error *e);

/* A set being written. */
struct set_writer {
	int hostfd, dirfd, lockfd;
	char *name, *partial; /* folder names; `partial` is NULL once there is nothing to remove */
	char *shown; /* TARGET/HOST/NAME */
	uint64_t chunk_size;
	struct sums sums;
	uint64_t plain, packed; /* bytes of all streams so far */
};

/* One backup of a host at a time. The lock is the kernel's (flock, which SMB and NFS carry to the
 * server), so that it ends with its holder; the file stays. Held by another: -EBUSY, with what the file
 * says about the holder. */
int host_lock(int hostfd, const char *shown, int *ret_fd, struct error *e);

/* fsync of a folder; some network file systems have none, and need none. */
int flush_folder(int fd);
