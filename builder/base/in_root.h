/* Paths of another system, below the folder that is its root: links, absolute ones too, are followed inside it and do
 * not lead out of it (openat2(2), RESOLVE_IN_ROOT). */
#pragma once
#include "base/error.h"

#include <stddef.h>
#include <sys/types.h>

/* As open(2); nothing is made. A descriptor that is the caller's, or -1 with errno. */
int open_in_root(int root_fd, const char *path, int flags);

/* A regular file as read_file_at() reads it; anything else is an error, and no FIFO or device is waited for. */
int read_file_in_root(int root_fd, const char *path, size_t max, char **ret, size_t *ret_len,
		      struct error *e);

/* The folder that a path of a file is in, and the file's name there, a part of `path`. A descriptor or a negative errno. */
int open_folder_of(int root_fd, const char *path, const char **ret_name, struct error *e);

/* `mkdir -p`, and the folder opened (O_PATH). A descriptor or a negative errno. */
int make_folder_in_root(int root_fd, const char *path, mode_t mode, struct error *e);
