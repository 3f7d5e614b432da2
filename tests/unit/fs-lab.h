/* File systems in plain files, for tests. */
#pragma once
#include "base/fs.h"
#include "base/proc.h"
#include "machine/fs.h"
#include "tap.h"

#include <blkid/blkid.h>
#include <fcntl.h>

static struct error e;
static struct report report;

static inline void make_file(const char *path, uint64_t size)
{
	_cleanup_(fd) int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	CHECK(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
}

static inline void run(const char *command)
{
	_cleanup_(strlist) struct strlist argv = { 0 };

	strlist_add_words(&argv, command);
	CHECK_OK(proc_run((const char *const *)argv.items, NULL, &e));
}

/* What a program says, without the lines that begin with one of `own`, after blanks. */
static inline char *said(const char *const argv[], const char *const own[], size_t count)
{
	_cleanup_(free) char *text = NULL;
	struct strbuf b = { 0 };

	CHECK_OK(proc_capture(argv, NULL, &text, &e));
	for (char *rest = text, *line; (line = strsep(&rest, "\n"));) {
		bool skip = false;

		for (size_t i = 0; i < count; i++)
			skip |= str_after(line + strspn(line, " "), own[i]) != NULL;
		if (!skip)
			strbuf_printf(&b, "%s\n", line);
	}
	return b.data;
}

static inline char *blkid_value(const char *path, const char *name)
{
	blkid_probe p = blkid_new_probe_from_filename(path);
	const char *value;

	CHECK(p && blkid_do_safeprobe(p) == 0 && blkid_probe_lookup_value(p, name, &value, NULL) == 0);
	char *copy = xstrdup(value);

	blkid_free_probe(p);
	return copy;
}

/* Of a content whose other members are literals. */
static inline void content_done(struct content *c)
{
	key_values_free(&c->parameters);
	free(c->method);
}
DEFINE_CLEANUP(content, struct content, content_done)

#define UUID "01234567-89ab-cdef-0123-456789abcdef"
