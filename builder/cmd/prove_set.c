#include "cmd/prove_set.h"

#include "base/digest.h"
#include "base/fs.h"
#include "base/proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

void prove_set_free(struct prove_set *s)
{
	free(s->image);
	free(s->url);
	*s = (struct prove_set) { 0 };
}

static char *folder_of(const struct target *t, const struct set *set)
{
	return xasprintf("%s/%s", t->path, set_shown(set));
}

/* The files of one set, in an order that is always the same. */
static int list_files(const char *folder, struct strlist *ret, uint64_t *bytes, struct error *e)
{
	DIR *d = opendir(folder);
	int r = 0;

	if (!d)
		return error_errno(e, errno, "read folder %s", folder);
	for (const struct dirent *entry; r == 0 && (entry = readdir(d));) {
		struct stat st;

		if (fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			r = error_errno(e, errno, "look at %s/%s", folder, entry->d_name);
		else if (S_ISREG(st.st_mode)) {
			strlist_add(ret, entry->d_name);
			*bytes += (uint64_t)st.st_size;
		}
	}
	(void)closedir(d); /* read side */
	strlist_sort(ret);
	return r;
}

static int hash_sums(const char *folder, char ret_hex[DIGEST_HEX_SIZE], struct error *e)
{
	_cleanup_(free) char *path = xasprintf("%s/SHA256SUMS", folder);
	_cleanup_(fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	uint64_t len;

	return fd < 0 ? error_errno(e, errno, "open %s", path) : digest_fd(fd, path, ret_hex, &len, e);
}

int prove_set_measure(const struct target *target, struct set *set, struct prove_set *ret, struct error *e)
{
	_cleanup_(free) char *own = folder_of(target, set);
	int r;

	if (target->tape)
		return error_text(e, EOPNOTSUPP,
				  "%s: only a set in a folder can be proven, not one on a raw device",
				  target->shown);
	r = hash_sums(own, ret->sha256, e);
	for (struct set *s = set; s && r == 0; s = set_base(s)) {
		_cleanup_(strlist) struct strlist files = { 0 };
		_cleanup_(free) char *folder = folder_of(target, s);

		r = list_files(folder, &files, &ret->bytes, e);
	}
	return r;
}

static int random_uuid(char **ret, struct error *e)
{
	int r = read_file_at(AT_FDCWD, "/proc/sys/kernel/random/uuid", 64, ret, NULL, e);

	if (r == 0)
		(*ret)[strcspn(*ret, "\n")] = '\0';
	return r;
}

static int make_filesystem(const char *image, uint64_t bytes, const char *uuid, struct error *e)
{
	const char *argv[] = {
		"mke2fs", "-q",   "-F", "-t", "ext4", "-O",   "^has_journal,^metadata_csum_seed",
		"-b",     "4096", "-m", "0",  "-N",   "4096", "-U",
		uuid,     image,  NULL
	};
	_cleanup_(fd) int fd = open(image, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	uint64_t size = (bytes + bytes / 50 + (64 << 20)) & ~(uint64_t)4095;

	if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
		return error_errno(e, errno, "make %s", image);
	return proc_run(argv, NULL, e);
}

/* debugfs(8) reads the files in its own folder, so that their names need no quoting: they are a set's. */
static int copy_set(const struct target *target, const struct set *set, const char *image,
		    const char *commands, struct error *e)
{
	const char *argv[] = { "debugfs", "-w", "-f", commands, image, NULL };
	_cleanup_(free) char *folder = folder_of(target, set), *host = NULL;
	_cleanup_(strlist) struct strlist files = { 0 };
	_cleanup_(strbuf) struct strbuf text = { 0 };
	const struct proc_options options = { .cwd = folder };
	const char *shown = set_shown(set);
	uint64_t bytes = 0;
	int r = list_files(folder, &files, &bytes, e);

	if (r < 0)
		return r;
	host = xstrndup(shown, strcspn(shown, "/"));
	strbuf_printf(&text, "mkdir /%s\nmkdir /%s\ncd /%s\n", host, shown, shown);
	for (size_t i = 0; i < files.count; i++)
		strbuf_printf(&text, "write %s %s\n", files.items[i], files.items[i]);
	r = write_file_at(AT_FDCWD, commands, 0600, text.data, text.len, e);
	return r < 0 ? r : proc_run(argv, &options, e);
}

int prove_set_make(const struct target *target, struct set *set, const char *folder, struct prove_set *s,
		   struct error *e)
{
	_cleanup_(free) char *commands = xasprintf("%s/copy", folder), *uuid = NULL;
	int r = random_uuid(&uuid, e);

	if (r < 0)
		return r;
	s->image = xasprintf("%s/set.img", folder);
	s->url = xasprintf("disk://%s", uuid);
	r = make_filesystem(s->image, s->bytes, uuid, e);
	for (struct set *one = set; one && r == 0; one = set_base(one))
		r = copy_set(target, one, s->image, commands, e);
	return r;
}
