#include "image/view.h"

#include "base/fs.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

enum {
	max_links = 40, /* as the kernel's own limit */
	max_interpreters = 4, /* of an interpreter; Linux: fs/exec.c, bprm_execve() */
	max_content = 64 << 20,
	head_size = 256, /* execve(2): what is read of a script's first line */
};

const struct entry *view_follow(const struct view *v, const char *path)
{
	_cleanup_(free) char *at = xstrdup(path);
	struct error ignored;

	for (int links = 0; links <= max_links; links++) {
		_cleanup_(free) char *canonical = NULL;

		if (tree_canonical(v->tree, at, &canonical, &ignored) < 0)
			return NULL;
		const struct entry *entry = tree_find(v->tree, canonical);

		if (!entry || !S_ISLNK(entry->mode))
			return entry;
		const char *slash = strrchr(canonical, '/');
		char *next = entry->data[0] == '/'
				     ? xstrdup(entry->data)
				     : xasprintf("%.*s/%s", slash ? (int)(slash - canonical) : 0, canonical,
						 entry->data);

		free(at);
		at = next;
	}
	return NULL;
}

int view_file(struct view *v, const char *path, struct error *e)
{
	if (view_follow(v, path))
		return 0;
	_cleanup_(free) char *canonical = NULL;
	struct error ignored;

	if (tree_canonical(v->tree, path, &canonical, &ignored) == 0 && tree_find(v->tree, canonical))
		return error_text(e, ENOENT, "%s is a link that leads nowhere", path);
	return error_text(e, ENOENT, "file %s is not in it", path);
}

int view_read(const struct entry *entry, char **ret, size_t *ret_len, struct error *e)
{
	if (entry->source)
		return read_file_at(AT_FDCWD, entry->source, max_content, ret, ret_len, e);
	*ret = xmalloc(entry->size + 1);
	memcpy(*ret, entry->data, entry->size);
	(*ret)[entry->size] = '\0';
	if (ret_len)
		*ret_len = entry->size;
	return 0;
}

/* The first bytes of a regular file, NUL-terminated. */
static int read_head(const struct entry *entry, char *head, size_t size, struct error *e)
{
	size_t want = entry->size < size - 1 ? entry->size : size - 1;

	memset(head, 0, size);
	if (!entry->source) {
		memcpy(head, entry->data, want);
		return 0;
	}
	_cleanup_(fd) int fd = open(entry->source, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return error_errno(e, errno, "open %s", entry->source);
	ssize_t n = read_full(fd, head, want);

	return n < 0 ? error_errno(e, (int)-n, "read %s", entry->source) : 0;
}

/* --- programs --- */

static bool is_program(const struct entry *entry)
{
	return entry && S_ISREG(entry->mode) && (entry->mode & 0111);
}

/* What a name in PATH means; what merely has the name, for messages, when there is nothing better. */
static const struct entry *find_tool(const struct view *v, const char *name)
{
	/* As overlay/lib/rescue.sh sets PATH. */
	static const char *const folders[] = { "usr/local/sbin", "usr/local/bin", "usr/sbin",
					       "usr/bin",        "sbin",          "bin" };
	const struct entry *found = NULL;

	if (strchr(name, '/'))
		return view_follow(v, name);
	for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
		_cleanup_(free) char *path = xasprintf("%s/%s", folders[i], name);
		const struct entry *entry = view_follow(v, path);

		if (is_program(entry))
			return entry;
		found = found ? found : entry;
	}
	return found;
}

const struct entry *view_find_tool(const struct view *v, const char *name)
{
	const struct entry *entry = find_tool(v, name);

	return is_program(entry) ? entry : NULL;
}

static int check_tool(struct view *v, const char *name, int depth, struct error *e);

/* "#!/usr/bin/env perl": the interpreter, and what env is to find. */
static int check_script(struct view *v, char *line, int depth, struct error *e)
{
	_cleanup_(strlist) struct strlist words = { 0 };

	line[strcspn(line, "\n")] = '\0';
	strlist_add_words(&words, line);
	if (!words.count)
		return error_text(e, ENOENT, "its first line names no interpreter");
	int r = check_tool(v, words.items[0], depth + 1, e);

	if (r < 0 || !str_ends(words.items[0], "/env"))
		return r;
	for (size_t i = 1; i < words.count; i++)
		if (words.items[i][0] != '-' && !strchr(words.items[i], '='))
			return check_tool(v, words.items[i], depth + 1, e);
	return 0;
}

static int check_tool(struct view *v, const char *name, int depth, struct error *e)
{
	const struct entry *entry = find_tool(v, name);
	char head[head_size];

	if (!entry)
		return error_text(e, ENOENT, "%s %s is not in it", depth ? "interpreter" : "tool", name);
	if (!is_program(entry))
		return error_text(e, EACCES, "/%s cannot be executed (mode %04o)", entry->path,
				  (unsigned)entry->mode & 07777);
	int r = read_head(entry, head, sizeof(head), e);

	if (r < 0)
		return r;
	if (memcmp(head, ELFMAG, SELFMAG) == 0)
		return view_libraries(v, entry, NULL, e);
	if (str_after(head, "#!") && depth < max_interpreters)
		r = check_script(v, head + 2, depth, e);
	else
		r = error_text(e, ENOEXEC, "it is neither a program nor a script");
	if (r < 0)
		error_prefix(e, "/%s", entry->path);
	return r;
}

int view_tool(struct view *v, const char *name, struct error *e)
{
	return check_tool(v, name, 0, e);
}

int view_library(struct view *v, const char *tool, const char *name, struct error *e)
{
	const struct entry *entry = view_find_tool(v, tool);

	return entry ? view_libraries(v, entry, name, e)
		     : error_text(e, ENOENT, "tool %s, which opens library %s, is not in it", tool, name);
}
