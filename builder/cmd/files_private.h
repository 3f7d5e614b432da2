/* What lists and browses the files of a set. Private to cmd/files.c and cmd/browse.c. */
#pragma once
#include "backup/files.h"
#include "cmd/files.h"

/* One file system of the set. */
struct saved {
	char *mountpoint; /* "" for the root */
	struct set_files *files;
	const struct listing *listing;
	bool *wanted; /* for each line of it */
	size_t chosen; /* lines that were asked for, without the folders that they need */
};
struct saved_list {
	struct saved *items;
	size_t count, capacity;
};

/* As it is called on the machine. The caller frees. */
char *files_path(const struct saved *v, const struct listed *f);
/* Does a pattern mean this path: with a '/' all of it, else its name. */
bool files_match(const char *pattern, const char *path);
/* What matches, and all that is below, is wanted, or not any more. False: nothing matches. */
bool files_choose(struct saved_list *v, const char *pattern, bool wanted);
/* As `ls -l` shows it, with a newline. */
void files_describe(const struct listed *f, const char *path, struct strbuf *b);
int files_restore(struct cmd *c, struct saved_list *v, const struct files_options *o, struct error *e);

/* Looks around in the set by commands from stdin until its end. Returns the exit code. */
int files_browse(struct cmd *c, struct saved_list *v);
