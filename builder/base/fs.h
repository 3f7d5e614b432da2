/* Files below a directory descriptor: read whole, write whole or not at all, trees, temporaries.
 * The descriptor always comes before the path; AT_FDCWD serves where there is none. */
#pragma once
#include "base/cleanup.h"
#include "base/error.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Reads at most `max` bytes; more is an error (EFBIG). The text is NUL-terminated; the caller
 * frees it. `ret_len` may be NULL. Works for /proc and /sys files, whose size is unknown. */
int read_file_at(int dirfd, const char *path, size_t max, char **ret, size_t *ret_len, struct error *e);
/* The same of an open file, which is called `shown` in errors. */
int read_file_fd(int fd, const char *shown, size_t max, char **ret, size_t *ret_len, struct error *e);

/* Opens /dev/null as whichever of stdin, stdout and stderr is closed, so that no file or disk that is
 * opened later gets its number, and with it what is printed. Returns 0 or a negative errno. */
int fill_standard_fds(void);

/* All of it or an error: retries short writes and EINTR. Returns 0 or a negative errno. */
int write_all(int fd, const void *data, size_t len);
/* Reads until `len` bytes or the end of the file. Returns the count or a negative errno. */
ssize_t read_full(int fd, void *data, size_t len);
/* The same at an offset. */
ssize_t pread_full(int fd, void *data, size_t len, off_t offset);
int pwrite_all(int fd, const void *data, size_t len, off_t offset);
/* A file without a name, in memory. */
int memory_file(struct error *e);
/* A pipe of a size that does not hold its two ends back. */
int make_pipe(int fds[2], struct error *e);
/* The disk begins with what was written so far while we go on, so that a later fsync() is short. */
void flush_begin(int fd);

/* An output that appears whole or not at all: flushed and given its name by outfile_commit(); the clean-up
 * throws away what was not committed, a signal does so too, and what a kill leaves where files cannot be
 * without a name (FAT, SMB, NFS) the next outfile_open() of the same goal removes. */
struct outfile {
	int fd; /* write here */
	int dirfd; /* owned: the folder of the goal */
	int leftover; /* base/leftover.h */
	char *goal, *temp; /* names in that folder; `temp` is NULL while the file has none */
	char *shown; /* the path as the caller gave it, for messages */
};
#define OUTFILE_NONE                                  \
	{                                             \
		.fd = -1, .dirfd = -1, .leftover = -1 \
	}
int outfile_open(int dirfd, const char *path, mode_t mode, struct outfile *ret, struct error *e);
/* -ENOSPC, with the numbers, when the file system has less than `need` bytes for us. `what` is to be made. */
int outfile_check_space(const struct outfile *f, const char *what, uint64_t need, struct error *e);
int outfile_commit(struct outfile *f, struct error *e);
/* Files that belong together: every one is complete, on disk and beside its goal before the first is renamed. */
int outfile_commit_all(struct outfile *files, size_t count, struct error *e);
void outfile_abort(struct outfile *f);
DEFINE_CLEANUP(outfile, struct outfile, outfile_abort)

/* outfile_open, write and commit in one. */
int write_file_at(int dirfd, const char *path, mode_t mode, const void *data, size_t len, struct error *e);

/* `mkdir -p`. */
int mkdir_parents_at(int dirfd, const char *path, mode_t mode, struct error *e);

/* `rm -rf`: follows no link, crosses no mount. Missing is fine. */
int remove_tree_at(int dirfd, const char *path, struct error *e);

/* $TMPDIR, or /var/tmp. */
const char *temp_folder(void);

/* A private folder below $TMPDIR (or /var/tmp), removed with all that is in it: by the clean-up, by a signal, or
 * by the next tempdir_make() after a kill (it is locked as long as this program runs). */
struct tempdir {
	char *path; /* NULL when there is none */
	int fd;
	int leftover; /* base/leftover.h */
};
#define TEMPDIR_NONE                                   \
	{                                              \
		.path = NULL, .fd = -1, .leftover = -1 \
	}
int tempdir_make(struct tempdir *ret, struct error *e);
/* The same in memory where there is a writable /dev/shm or /run and no $TMPDIR: no folder of a disk changes its time. */
int tempdir_make_in_memory(struct tempdir *ret, struct error *e);
void tempdir_remove(struct tempdir *t);
DEFINE_CLEANUP(tempdir, struct tempdir, tempdir_remove)
