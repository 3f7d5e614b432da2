/* A raw device used like a tape: one tar archive from its first byte on, of the files of one set after the other, so that
 * `tar -tf /dev/X` lists it and `tar -xOf` gives any stream back. lifeboat-tape(5) is its specification. Private to this
 * room.
 *
 *     LIFEBOAT.txt            how to read it by hand; by this first name it is known
 *     HOST/                   for each set: two folders, written last and over the archive's end mark, so that
 *     HOST/SET/               a set is there as a whole or not at all
 *     HOST/SET/machine.conf ... HOST/SET/SHA256SUMS
 *     two blocks of zeros     the end mark
 *
 * Headers are POSIX ustar (IEEE Std 1003.1, pax, "ustar Interchange Format"); a size of 8 GiB or more is in base 256, as GNU
 * tar has it. */
#pragma once
#include "base/error.h"
#include "base/str.h"

#include <stdint.h>
#include <sys/types.h>

#define TAPE_README "LIFEBOAT.txt"

struct tape_file {
	char *path; /* HOST/SET/FILE, or HOST/SET/ for the set itself */
	uint64_t at, size; /* bytes on the device */
};
struct tape {
	struct tape_file *files; /* in their order */
	size_t count, capacity;
	uint64_t end; /* of the end mark: the next set begins there */
	uint64_t size; /* of the device */
};
void tape_free(struct tape *t);
DEFINE_CLEANUP(tape, struct tape, tape_free)

/* Reads all headers. -EMEDIUMTYPE: it is no tape of ours. */
int tape_scan(int fd, const char *shown, struct tape *ret, struct error *e);
/* A small file, whole, with a NUL behind it; larger than `max` bytes is an error. The caller frees. */
int tape_read(int fd, const struct tape *t, const char *path, size_t max, char **ret, size_t *ret_len,
	      struct error *e);
const struct tape_file *tape_find(const struct tape *t, const char *path); /* NULL: none */

/* The one door to writing: held exclusively, and it is either a tape of ours, then it is appended to, or blank, then it is made
 * one. Anything else on it, or in use, is refused, unless `overwrite`, which a person has agreed to; what is in use is always
 * refused. The descriptor is the caller's. */
int tape_open_for_writing(const char *path, const char *shown, bool overwrite, int *ret_fd, struct tape *ret,
			  struct error *e);
/* What would be lost: "ext4 'root'", or NULL when it is blank or a tape of ours with nothing on it. The caller frees. */
int tape_content(const char *path, char **ret, struct error *e);

/* A set being appended. */
struct tape_writer {
	int fd;
	uint64_t size; /* of the device */
	uint64_t begin, at; /* where the set begins; the next byte */
	uint64_t header, flushed; /* of the open file */
	char *folder; /* HOST/SET */
};
void tape_begin(struct tape_writer *w, int fd, const struct tape *t, const char *host, const char *name);
int tape_file_begin(struct tape_writer *w, struct error *e);
int tape_write(struct tape_writer *w, const void *data, size_t len, struct error *e);
int tape_file_end(struct tape_writer *w, const char *name, struct error *e);
int tape_commit(struct tape_writer *w, struct error *e);
void tape_writer_free(struct tape_writer *w);
