/* The one grammar of recovery.conf, profiles, machine.conf, drills and answers, read by libinih:
 *
 *     [section name]
 *     key = value        # comment
 *           goes on here
 *
 * An indented line continues the value (joined by one space). A `#` starts a comment at the start
 * of a line or after white space. Every section and entry remembers its line, so that whoever
 * interprets it can point there: "FILE:LINE: WHAT; expected WHAT". */
#pragma once
#include "base/error.h"
#include "base/str.h"

#include <stddef.h>

struct ini_entry {
	char *key, *value;
	unsigned line;
};

struct ini_section {
	char *kind; /* first word of the heading: "disk" in [disk sda] */
	char *name; /* the rest, "" when there is none */
	unsigned line;
	struct ini_entry *entries;
	size_t count, capacity;
};

struct ini {
	char *file; /* as it is shown in messages */
	struct ini_section *sections;
	size_t count, capacity;
};
#define INI_NONE             \
	{                    \
		.file = NULL \
	}

/* Parses text; `file` is only for messages. Syntax errors come as "FILE:LINE: …". */
int ini_parse_text(const char *file, const char *text, struct ini *ret, struct error *e);
/* Reads a file of at most 1 MiB and parses it. */
int ini_parse_at(int dirfd, const char *path, struct ini *ret, struct error *e);
void ini_free(struct ini *ini);
DEFINE_CLEANUP(ini, struct ini, ini_free)

/* The first section of the same kind and name, or NULL. */
const struct ini_section *ini_same_section(const struct ini *ini, const struct ini_section *like);
/* The value, or NULL when the section has no such key. */
const char *ini_get(const struct ini_section *s, const char *key);
const struct ini_entry *ini_entry(const struct ini_section *s, const char *key);

/* "FILE:LINE: text" as -EINVAL. */
int ini_error(const struct ini *ini, unsigned line, struct error *e, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* What a section may hold. Tables end with a NULL key. A key "*" allows any. */
struct ini_key {
	const char *key;
	const char *expected; /* what a good value looks like, for messages */
	/* 0 when good; NULL allows anything */
	int (*check)(const char *value);
	bool repeats; /* may be there several times; their order counts */
};
struct ini_schema {
	const char *kind;
	bool named; /* [kind NAME] rather than [kind] */
	const struct ini_key *keys;
};
/* Unknown sections, unknown keys, repeated keys and bad values, in file order: the first one is
 * the error. `schemas` ends with a NULL kind. */
int ini_check(const struct ini *ini, const struct ini_schema *schemas, struct error *e);

/* Building and writing: what is written parses back to the same. A value that the grammar cannot
 * hold (newline, " #", outer white space) is refused with -EINVAL. */
struct ini_section *ini_add_section(struct ini *ini, const char *kind, const char *name);
void ini_set(struct ini_section *s, const char *key, const char *value);
void ini_setf(struct ini_section *s, const char *key, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
int ini_format(const struct ini *ini, struct strbuf *ret, struct error *e);
