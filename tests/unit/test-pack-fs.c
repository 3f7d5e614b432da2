/* The images of file systems that we write, read by the programs that others have for them. */
#include "image/pack.h"
#include "image/share.h"
#include "base/fs.h"
#include "base/proc.h"
#include "tap.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static struct error e;
static struct report quiet;

enum { large = 3 * (1 << 20) + 5, many = 700 };

struct bench {
	struct tempdir dir;
	struct tree tree;
	struct pack_totals totals;
	char *large; /* path of a file that does not compress */
};

static void bench_free(struct bench *b)
{
	tree_free(&b->tree);
	tempdir_remove(&b->dir);
	free(b->large);
}
DEFINE_CLEANUP(bench, struct bench, bench_free)

static void add(struct bench *b, const char *path, mode_t mode, const char *text, size_t len)
{
	CHECK_OK(tree_add_data(&b->tree, path, mode, text, len, NULL, &e));
}

/* Every size that ends a block or begins one, both kinds of links, a folder of several blocks, names
 * that sort otherwise when a slash follows. */
static void bench_make(struct bench *b)
{
	_cleanup_(free) char *text = xmalloc(large);
	static const size_t lens[] = { 0, 1, 4095, 4096, 4097, 12 * 4096, 12 * 4096 + 1, 2 << 20 };

	*b = (struct bench) { .dir = TEMPDIR_NONE };
	report_init(&quiet, VERBOSITY_QUIET, false);
	if (access("/dev/shm", W_OK) == 0)
		CHECK(setenv("TMPDIR", "/dev/shm", 0) == 0); /* a flush costs nothing there */
	CHECK_OK(tempdir_make(&b->dir, &e));
	for (size_t i = 0; i < large; i++)
		text[i] = (char)(i * i * 2654435761U >> 24);
	b->large = xasprintf("%s/large", b->dir.path);
	CHECK_OK(write_file_at(b->dir.fd, "large", 0644, text, large, &e));
	for (size_t i = 0; i < sizeof(lens) / sizeof(*lens); i++) {
		_cleanup_(free) char *path = xasprintf("/sizes/%zu", lens[i]);

		add(b, path, 0644, text, lens[i]);
	}
	for (size_t i = 0; i < many; i++) {
		_cleanup_(free) char *path = xasprintf("/many/a name of some length %zu", i);

		add(b, path, 0600, path, strlen(path));
	}
	add(b, "/a/x", 0755, "x", 1);
	add(b, "/a-b", 04755, "suid", 4);
	CHECK_OK(tree_add_folder(&b->tree, "/tmp", 01777, NULL, &e));
	CHECK_OK(tree_add_file(&b->tree, "/usr/lib/one", 0644, b->large, large, NULL, &e));
	CHECK_OK(tree_add_file(&b->tree, "/usr/lib/two", 0644, b->large, large, NULL, &e));
	CHECK_OK(tree_add_link(&b->tree, "/short", "a/x", NULL, &e));
	memset(text, 'y', 200);
	text[200] = '\0';
	CHECK_OK(tree_add_link(&b->tree, "/long", text, NULL, &e));
	tree_sort(&b->tree);
	CHECK_OK(tree_share_duplicates(&b->tree, &e));
}

/* The packed tree, as a file of the bench's folder. */
static int pack_as(struct bench *b, const char *name, int (*pack)(struct bench *b, int fd))
{
	_cleanup_(fd) int fd = openat(b->dir.fd, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	CHECK(fd >= 0);
	return pack(b, fd);
}

static int cramfs(struct bench *b, int fd)
{
	return pack_cramfs(&b->tree, fd, "out", &b->totals, &quiet, &e);
}

static int ext2(struct bench *b, int fd)
{
	return pack_ext2(&b->tree, 64 << 10, 1700000000, fd, "out", &b->totals, &quiet, &e);
}

static void run(const struct bench *b, const char *words, char **ret_out)
{
	_cleanup_(strlist) struct strlist argv = { 0 };
	_cleanup_(free) char *ignored = NULL;
	const struct proc_options here = { .cwd = b->dir.path };

	strlist_add_words(&argv, words);
	for (size_t i = 0; i < argv.count; i++)
		for (char *c = argv.items[i]; *c; c++)
			if (*c == '_')
				*c = ' ';
	CHECK_OK(proc_capture((const char *const *)argv.items, &here, ret_out ? ret_out : &ignored, &e));
}

/* What was taken out of the image into `folder` is the tree, as far as these bits of the modes go. */
static void check_extracted(const struct bench *b, const char *folder, mode_t bits)
{
	for (size_t i = 0; i < b->tree.count; i++) {
		const struct entry *entry = b->tree.entries[i];
		_cleanup_(free) char *path = xasprintf("%s/%s", folder, entry->path);
		_cleanup_(free) char *text = NULL, *wanted = NULL;
		char target[256] = { 0 };
		struct stat st;
		size_t len;

		if (fstatat(b->dir.fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
			TAP_FAIL("%s is missing", path);
		if (S_ISLNK(entry->mode)) {
			CHECK_INT(readlinkat(b->dir.fd, path, target, sizeof(target) - 1), entry->size);
			CHECK_STR(target, entry->data);
			continue;
		}
		CHECK_INT(st.st_mode & (S_IFMT | bits), entry->mode & (S_IFMT | bits));
		if (!S_ISREG(entry->mode))
			continue;
		if (entry->source)
			CHECK_OK(read_file_at(AT_FDCWD, entry->source, 1 << 24, &wanted, NULL, &e));
		CHECK_OK(read_file_at(b->dir.fd, path, 1 << 24, &text, &len, &e));
		CHECK_INT(len, entry->size);
		CHECK(memcmp(text, wanted ? wanted : entry->data, len) == 0);
	}
}

TEST(cramfs_is_what_fsck_takes_out_of_it)
{
	_cleanup_(bench) struct bench b;
	struct stat st;

	bench_make(&b);
	CHECK_OK(pack_as(&b, "out", cramfs));
	run(&b, "fsck.cramfs --extract=tree out", NULL);
	check_extracted(&b, "tree", geteuid() == 0 ? 07777 : 0777); /* only root's chmod is tried */
	/* What is shared is in it once. */
	CHECK(fstatat(b.dir.fd, "out", &st, 0) == 0);
	CHECK(st.st_size < 2 * large && st.st_size % 4096 == 0);
	CHECK(b.totals.content > large && b.totals.content < 2 * large + (2 << 20));
}

TEST(ext2_is_what_debugfs_takes_out_of_it)
{
	_cleanup_(bench) struct bench b;
	_cleanup_(free) char *stat = NULL, *suid = NULL, *sticky = NULL, *super = NULL;

	bench_make(&b);
	CHECK_OK(pack_as(&b, "out", ext2));
	run(&b, "e2fsck -fn out", NULL);
	CHECK_OK(mkdir_parents_at(b.dir.fd, "tree", 0700, &e));
	run(&b, "debugfs -R rdump_/_tree out", NULL);
	check_extracted(&b, "tree", 0777); /* it sets no others */
	run(&b, "debugfs -R stat_/usr/lib/one out", &stat);
	CHECK(strstr(stat, "Links: 2"));
	run(&b, "debugfs -R stat_/a-b out", &suid);
	CHECK(strstr(suid, "Mode:  04755"));
	run(&b, "debugfs -R stat_/tmp out", &sticky);
	CHECK(strstr(sticky, "Mode:  01777"));
	/* The margin is free, and little more. */
	run(&b, "dumpe2fs -h out", &super);
	const char *at = strstr(super, "Free blocks:");
	unsigned long left = at ? strtoul(at + strlen("Free blocks:"), NULL, 10) : 0;

	CHECK(left >= 16);
	CHECK(left < 16 + 64);
}

TEST(devices_and_owners_are_right_whoever_makes_them)
{
	_cleanup_(bench) struct bench b;
	_cleanup_(free) char *console = NULL, *null = NULL, *disk = NULL;

	bench_make(&b);
	CHECK_OK(tree_add_device(&b.tree, "/dev/console", S_IFCHR | 0600, makedev(5, 1), NULL, &e));
	CHECK_OK(tree_add_device(&b.tree, "/dev/null", S_IFCHR | 0666, makedev(1, 3), NULL, &e));
	CHECK_OK(tree_add_device(&b.tree, "/dev/disk", S_IFBLK | 0660, makedev(259, 300), NULL, &e));
	tree_sort(&b.tree);
	CHECK_OK(tree_share_duplicates(&b.tree, &e));
	CHECK_OK(pack_as(&b, "out", ext2));
	run(&b, "e2fsck -fn out", NULL);
	run(&b, "debugfs -R stat_/dev/console out", &console);
	run(&b, "debugfs -R stat_/dev/null out", &null);
	run(&b, "debugfs -R stat_/dev/disk out", &disk);
	CHECK(strstr(console, "Type: character special    Mode:  0600"));
	CHECK(strstr(console, "User:     0   Group:     0"));
	CHECK(strstr(console, "05:01"));
	CHECK(strstr(null, "01:03") && strstr(null, "Mode:  0666"));
	CHECK(strstr(disk, "Type: block special    Mode:  0660") && strstr(disk, "259:300"));
	CHECK_OK(pack_as(&b, "out", cramfs));
	run(&b, "fsck.cramfs out", NULL);
}

TEST(the_same_tree_gives_the_same_bytes)
{
	static int (*const packers[])(struct bench * b, int fd) = { cramfs, ext2 };
	cpu_set_t one;

	for (size_t i = 0; i < 2; i++) {
		_cleanup_(bench) struct bench first, second;
		_cleanup_(free) char *a = NULL, *b = NULL;
		size_t a_len, b_len;

		bench_make(&first);
		CHECK_OK(pack_as(&first, "out", packers[i]));
		sleep(1); /* another second, another folder, another number of cores */
		CHECK(sched_getaffinity(0, sizeof(one), &one) == 0);
		for (int cpu = 0, kept = 0; cpu < CPU_SETSIZE; cpu++)
			if (CPU_ISSET(cpu, &one) && kept++)
				CPU_CLR(cpu, &one);
		CHECK(sched_setaffinity(0, sizeof(one), &one) == 0);
		bench_make(&second);
		CHECK_OK(pack_as(&second, "out", packers[i]));
		CHECK_OK(read_file_at(first.dir.fd, "out", 1 << 26, &a, &a_len, &e));
		CHECK_OK(read_file_at(second.dir.fd, "out", 1 << 26, &b, &b_len, &e));
		CHECK_INT(a_len, b_len);
		CHECK(memcmp(a, b, a_len) == 0);
	}
}

TEST(cramfs_refuses_what_it_cannot_hold)
{
	_cleanup_(bench) struct bench b;
	char name[300];

	bench_make(&b);
	_cleanup_(free) char *path = xasprintf("%s/huge", b.dir.path);

	CHECK_OK(write_file_at(b.dir.fd, "huge", 0644, "", 0, &e));
	CHECK(truncate(path, 1 << 24) == 0);
	CHECK_OK(tree_add_file(&b.tree, "/opt/huge", 0644, path, 1 << 24, NULL, &e));
	tree_sort(&b.tree);
	CHECK_ERROR(pack_as(&b, "out", cramfs),
		    "pack /opt/huge: it has 16777216 bytes, and cramfs holds files of less than 16 MiB only; "
		    "use format = ext2 or cpio, or leave it out");
	CHECK(truncate(path, (1 << 24) - 1) == 0);
	CHECK_OK(pack_as(&b, "out", cramfs));
	run(&b, "fsck.cramfs out", NULL);
	memset(name, 'n', sizeof(name));
	memcpy(name, "/opt/", 5);
	name[5 + 253] = '\0';
	add(&b, name, 0644, "", 0);
	tree_sort(&b.tree);
	CHECK(pack_as(&b, "out", cramfs) == -ENAMETOOLONG);
	CHECK(strstr(e.text, "has more than the 252 bytes that cramfs has room for"));
}

TEST(a_full_disk_is_told)
{
	_cleanup_(bench) struct bench b;
	_cleanup_(fd) int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

	bench_make(&b);
	CHECK(full >= 0);
	CHECK_INT(cramfs(&b, full), -ENOSPC);
	CHECK_STR(e.text, "write out: No space left on device");
}

TEST(a_file_that_grew_does_not_fit_the_ext2_that_was_planned)
{
	_cleanup_(bench) struct bench b;

	bench_make(&b);
	CHECK(truncate(b.large, 30 << 20) == 0);
	CHECK_INT(pack_as(&b, "out", ext2), -ENOSPC);
	CHECK(strstr(e.text, "write out, /usr/lib/two: "));
}

TAP_MAIN()
