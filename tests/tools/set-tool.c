/* The backup room without a survey: saves and restores one mounted file system, for tests and figures.
 *
 *     set-tool save URL CREDENTIALS HOST NAME METHOD MOUNTPOINT CHUNK-SIZE [LEVEL]     prints HOST/SET
 *     set-tool restore URL CREDENTIALS HOST NAME METHOD FOLDER                 of the newest set of HOST
 *     set-tool receive URL CREDENTIALS HOST NAME METHOD FOLDER                 what btrfs send made, as a subvolume in there
 *     set-tool walk MOUNTPOINT                 prints the file system's listing, from the disk itself
 *
 * CREDENTIALS is a file, or - for none. $RETRY: for how many seconds a server that went away is tried again,
 * $TIMEOUT: how long it may take to answer; without it as long as lifeboat's own default. */
#include "backup/listing_walk.h"
#include "backup/set.h"
#include "backup/xattrs.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

static int save(struct target *target, char *argv[], struct report *report, struct error *e)
{
	static const char recover[] = "See set-tool.\n";
	_cleanup_(set_writer) struct set_writer *w = NULL;
	_cleanup_(free) char *name = NULL;
	const char *host = argv[0], *stream = argv[1], *method = argv[2], *mountpoint = argv[3];
	struct statvfs fs;
	struct stat st;
	uint64_t chunk, level = 0;

	if (parse_size(argv[4], &chunk) < 0 || (argv[5] && parse_u64(argv[5], &level) < 0) ||
	    statvfs(mountpoint, &fs) < 0 || stat(mountpoint, &st) < 0)
		return error_text(e, 22, "save: bad chunk size or mount point");
	/* as if it were the root of a disk, with the file system that is usual for the method */
	const char *type = streq(method, "xfsdump") ? "xfs" : streq(method, "send") ? "btrfs" : "ext4";
	_cleanup_(free) char *machine = xasprintf(
		"[machine]\nfirmware = bios\n[disk sda]\npath = /dev/sda\nsize = 1073741824\nsector-size = "
		"512\n"
		"table = none\n[filesystem sda]\ntype = %s\nmountpoint = /\nstream = %s\nmethod = %s\n",
		type, stream, method);
	int r = set_begin(target, host, (unsigned)level, chunk, &w, report, e);

	if (r == 0)
		r = set_add_file(w, "machine.conf", machine, strlen(machine), e);
	if (r == 0)
		r = set_save_filesystem(
			w, stream, method,
			&(struct set_source) { .folder = mountpoint,
					       .device = st.st_dev,
					       .total = (uint64_t)(fs.f_blocks - fs.f_bfree) * fs.f_frsize },
			report, e);
	if (r == 0)
		r = set_add_file(w, "RECOVER.txt", recover, sizeof(recover) - 1, e);
	if (r == 0)
		r = set_commit(w, &name, e);
	if (r == 0)
		printf("%s/%s\n", host, name);
	return r;
}

static int restore(struct target *target, char *argv[], bool receives, struct report *report, struct error *e)
{
	_cleanup_(set) struct set *s = NULL;
	int r = set_open(target, argv[0], NULL, &s, report, e);

	if (r < 0)
		return r;
	return receives ? set_receive_stream(s, argv[1], argv[2], argv[3], report, e)
			: set_restore_stream(s, argv[1], argv[2], argv[3], report, e);
}

/* ---- the disk's own listing ---- */

static int hash(const struct walked *file, unsigned char *ret, struct error *e)
{
	enum { block = 1 << 20 };
	_cleanup_(fd) int fd = openat(file->dirfd, file->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOATIME);
	_cleanup_(digest) struct digest *d = digest_new();
	_cleanup_(free) char *buf = xmalloc(block);
	ssize_t n;

	if (fd < 0)
		return error_errno(e, errno, "open %s", file->path);
	while ((n = read(fd, buf, block)) > 0)
		digest_add(d, buf, (size_t)n);
	digest_bytes(d, ret);
	return n < 0 ? error_errno(e, errno, "read %s", file->path) : 0;
}

static int list_file(void *user, const struct walked *file, struct error *e)
{
	_cleanup_(listed) struct listed f = listed_of(file);
	char target[4097] = "";
	int r = xattrs_digest(file->dirfd, file->name, file->path, &f.has_xattrs, f.xattrs, e);

	if (r == 0 && S_ISREG(f.mode)) {
		r = hash(file, f.sha, e);
		f.has_sha = true;
	}
	if (S_ISLNK(f.mode) && readlinkat(file->dirfd, file->name, target, sizeof(target) - 1) > 0)
		f.target = xstrdup(target);
	listing_take(user, &f);
	return r;
}

static int walk(const char *mountpoint, struct error *e)
{
	_cleanup_(listing) struct listing l = { 0 };
	_cleanup_(strbuf) struct strbuf text = { 0 };
	struct stat st;

	if (stat(mountpoint, &st) < 0)
		return error_errno(e, errno, "look at %s", mountpoint);
	const struct set_source source = { .folder = mountpoint, .shown = mountpoint, .device = st.st_dev };
	int r = walk_filesystem(&source, list_file, &l, e);

	listing_sort(&l);
	strbuf_puts(&text, LISTING_HEAD);
	for (size_t i = 0; i < l.count; i++)
		listing_format(&text, &l.items[i]);
	if (r == 0)
		(void)fwrite(text.data, 1, text.len, stdout);
	return r;
}

static int run(int argc, char *argv[], struct report *report, struct error *e)
{
	_cleanup_(target) struct target target = { .dirfd = -1 };
	if (argc == 3 && streq(argv[1], "walk"))
		return walk(argv[2], e);
	bool saves = (argc == 9 || argc == 10) && streq(argv[1], "save");
	bool receives = argc == 8 && streq(argv[1], "receive");

	if (!saves && !receives && !(argc == 8 && streq(argv[1], "restore")))
		return error_text(e, 22, "see the head of set-tool.c");
	const char *retry = getenv("RETRY"), *timeout = getenv("TIMEOUT");
	struct target_options options = { .credentials = streq(argv[3], "-") ? NULL : argv[3],
					  .write = saves,
					  .timeout = timeout ? (unsigned)atoi(timeout) : 0,
					  .retry = retry ? (unsigned)atoi(retry) : 120 };
	int r = target_open(argv[2], &options, &target, report, e);

	if (r < 0)
		return r;
	return saves ? save(&target, argv + 4, report, e) : restore(&target, argv + 4, receives, report, e);
}

int main(int argc, char *argv[])
{
	struct report report;
	struct error e = { 0 };

	(void)signal(SIGPIPE, SIG_IGN);
	report_init(&report, VERBOSITY_NORMAL, false);
	if (run(argc, argv, &report, &e) == 0)
		return 0;
	report_error(&report, &e);
	return 1;
}
