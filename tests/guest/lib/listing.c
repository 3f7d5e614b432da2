/* listing ROOT: one line for every path of the file system that ROOT is on, sorted by name:
 *
 *     PATH TYPE MODE UID:GID mtime=S.NNNNNNNNN links=N [what belongs to the type] [xattrs] [flags]
 *
 * Files have size=, sha256= and holes= (start+length, so that sparse files are told from full ones);
 * of several names for one inode, all but the first say same=FIRST; symbolic links have to=; devices
 * have device=MAJOR:MINOR. Extended attributes of every namespace follow as hexadecimal (ACLs and
 * capabilities are among them), then the chattr(1) flags that a person can set.
 *
 * Left out on purpose, because a restore cannot and need not keep them: inode numbers, atime, ctime
 * and birth time; the size of folders (it depends on the order in which entries came and went); the
 * flags that ext4 sets for itself (extents, indexed folders). Nothing else is left out.
 *
 * Built on the host by tests/guest/lib/debian.sh and run inside the machine, before the backup and
 * after the recovery. */
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

struct entry {
	char *path; /* relative to ROOT */
	char *line; /* what is said about it */
	ino_t inode; /* 0: only one name */
};
static struct entry *entries;
static size_t count, capacity;
static dev_t device;

/* NAME with everything but plain visible ASCII as \xHH, so that a line is a line. */
static void put_escaped(FILE *out, const char *name)
{
	for (const unsigned char *p = (const unsigned char *)name; *p; p++) {
		if (*p <= ' ' || *p >= 0x7f || *p == '\\')
			fprintf(out, "\\x%02x", *p);
		else
			fputc(*p, out);
	}
}

static void put_hex(FILE *out, const unsigned char *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		fprintf(out, "%02x", data[i]);
}

static void put_hash(FILE *out, int fd, const char *path)
{
	static unsigned char buffer[1 << 18];
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	ssize_t n;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	if (!ctx || !EVP_DigestInit_ex(ctx, EVP_sha256(), NULL))
		errx(1, "start SHA-256");
	while ((n = read(fd, buffer, sizeof(buffer))) > 0)
		if (!EVP_DigestUpdate(ctx, buffer, (size_t)n))
			errx(1, "hash %s", path);
	if (n < 0)
		err(1, "read %s", path);
	if (!EVP_DigestFinal_ex(ctx, digest, &len))
		errx(1, "hash %s", path);
	EVP_MD_CTX_free(ctx);
	fprintf(out, " sha256=");
	put_hex(out, digest, len);
}

static void put_holes(FILE *out, int fd, off_t size, const char *path)
{
	off_t hole = 0;
	const char *before = " holes=";

	while (hole < size && (hole = lseek(fd, hole, SEEK_HOLE)) < size) {
		if (hole < 0)
			err(1, "look for holes in %s", path);
		off_t data = lseek(fd, hole, SEEK_DATA);

		if (data < 0 && errno != ENXIO)
			err(1, "look for data in %s", path);
		if (data < 0)
			data = size;
		fprintf(out, "%s%jd+%jd", before, (intmax_t)hole, (intmax_t)(data - hole));
		before = ",";
		hole = data;
	}
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The list of names is read through /proc/self/fd, so that deep paths are no problem. */
static void put_xattrs(FILE *out, int dirfd, const char *name, const char *path)
{
	static char names[1 << 16];
	static unsigned char value[1 << 16];
	char *sorted[1024], at[300];
	size_t n = 0;

	snprintf(at, sizeof(at), "/proc/self/fd/%d/%s", dirfd, name);
	ssize_t len = llistxattr(at, names, sizeof(names));

	if (len < 0 && errno != ENOTSUP)
		err(1, "list the extended attributes of %s", path);
	for (ssize_t i = 0; i < len && n < 1024; i += (ssize_t)strlen(names + i) + 1)
		sorted[n++] = names + i;
	qsort(sorted, n, sizeof(*sorted), compare_names);
	for (size_t i = 0; i < n; i++) {
		ssize_t got = lgetxattr(at, sorted[i], value, sizeof(value));

		if (got < 0)
			err(1, "read %s of %s", sorted[i], path);
		fputc(' ', out);
		put_escaped(out, sorted[i]);
		fputc('=', out);
		put_hex(out, value, (size_t)got);
	}
}

/* `fd`: an open file or folder. */
static void put_flags(FILE *out, int fd)
{
	unsigned flags = 0;
	const unsigned set_by_people = FS_FL_USER_MODIFIABLE & ~(unsigned)FS_EXTENT_FL;

	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 && flags & set_by_people)
		fprintf(out, " flags=%#x", flags & set_by_people);
}

static void put_link(FILE *out, int dirfd, const char *name, const char *path)
{
	char to[4096 + 1];
	ssize_t len = readlinkat(dirfd, name, to, sizeof(to) - 1);

	if (len < 0)
		err(1, "read link %s", path);
	to[len] = '\0';
	fprintf(out, " to=");
	put_escaped(out, to);
}

static const char *type_of(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "file";
	case S_IFDIR:
		return "folder";
	case S_IFLNK:
		return "link";
	case S_IFCHR:
		return "char";
	case S_IFBLK:
		return "block";
	case S_IFIFO:
		return "fifo";
	case S_IFSOCK:
		return "socket";
	default:
		return "unknown";
	}
}

/* Says all about NAME below `dirfd`, whose path from ROOT is PATH. `fd`: it, open, for files and folders. */
static void add(int dirfd, const char *name, const char *path, int fd, const struct stat *st)
{
	size_t size;
	struct entry e = { .path = strdup(path) };
	FILE *out = open_memstream(&e.line, &size);

	if (!e.path || !out)
		err(1, "list %s", path);
	fprintf(out, " %s %04o %u:%u mtime=%jd.%09ld links=%ju", type_of(st->st_mode), st->st_mode & 07777,
		st->st_uid, st->st_gid, (intmax_t)st->st_mtim.tv_sec, st->st_mtim.tv_nsec,
		(uintmax_t)st->st_nlink);
	if (S_ISREG(st->st_mode)) {
		fprintf(out, " size=%jd", (intmax_t)st->st_size);
		put_hash(out, fd, path);
		put_holes(out, fd, st->st_size, path);
	} else if (S_ISLNK(st->st_mode)) {
		put_link(out, dirfd, name, path);
	} else if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode)) {
		fprintf(out, " device=%u:%u", major(st->st_rdev), minor(st->st_rdev));
	}
	put_xattrs(out, dirfd, name, path);
	if (fd >= 0)
		put_flags(out, fd);
	if (!S_ISDIR(st->st_mode) && st->st_nlink > 1)
		e.inode = st->st_ino;
	if (fclose(out) != 0)
		err(1, "list %s", path);
	if (count == capacity) {
		capacity = capacity ? 2 * capacity : 4096;
		entries = realloc(entries, capacity * sizeof(*entries));
		if (!entries)
			err(1, "list %s", path);
	}
	entries[count++] = e;
}

static void walk(int dirfd, const char *name, const char *path);

static void walk_entries(int fd, const char *path)
{
	DIR *dir = fdopendir(fd);
	const struct dirent *d;

	if (!dir)
		err(1, "open %s", path);
	while (errno = 0, (d = readdir(dir))) {
		char *below;

		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		if (asprintf(&below, "%s/%s", path, d->d_name) < 0)
			err(1, "list %s", path);
		walk(fd, d->d_name, below);
		free(below);
	}
	if (errno)
		err(1, "read folder %s", path);
	closedir(dir);
}

static void walk(int dirfd, const char *name, const char *path)
{
	struct stat st;
	int fd = -1;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		err(1, "look at %s", path);
	if (st.st_dev != device)
		return; /* another file system: its own listing's matter */
	if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) {
		fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC);
		if (fd < 0)
			err(1, "open %s", path);
	}
	add(dirfd, name, path, fd, &st);
	if (S_ISDIR(st.st_mode))
		walk_entries(fd, path); /* closes it */
	else if (fd >= 0)
		close(fd);
}

static int compare_entries(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->path, ((const struct entry *)b)->path);
}

static int compare_inodes(const void *a, const void *b)
{
	const struct entry *const *x = a, *const *y = b;

	if ((*x)->inode != (*y)->inode)
		return (*x)->inode < (*y)->inode ? -1 : 1;
	return strcmp((*x)->path, (*y)->path);
}

/* Among the names of one inode all but the first point at that. */
static void join_hard_links(void)
{
	const struct entry **linked = calloc(count + 1, sizeof(*linked)), *first = NULL;
	size_t n = 0;

	if (!linked)
		err(1, "compare links");
	for (size_t i = 0; i < count; i++)
		if (entries[i].inode)
			linked[n++] = &entries[i];
	qsort(linked, n, sizeof(*linked), compare_inodes);
	for (size_t i = 0; i < n; i++) {
		struct entry *e = (struct entry *)linked[i];
		char *line = NULL;
		size_t size;

		if (!first || first->inode != e->inode) {
			first = e;
			continue;
		}
		FILE *out = open_memstream(&line, &size);

		if (!out)
			err(1, "compare links");
		fprintf(out, "%s same=", e->line);
		put_escaped(out, first->path);
		if (fclose(out) != 0)
			err(1, "compare links");
		free(e->line);
		e->line = line;
	}
	free(linked);
}

int main(int argc, char *argv[])
{
	struct stat st;

	if (argc != 2) {
		fprintf(stderr, "Usage: listing ROOT\n");
		return 2;
	}
	int root = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (root < 0 || fstat(root, &st) < 0)
		err(1, "open %s", argv[1]);
	device = st.st_dev;
	walk(root, ".", ".");
	qsort(entries, count, sizeof(*entries), compare_entries);
	join_hard_links();
	for (size_t i = 0; i < count; i++) {
		put_escaped(stdout, entries[i].path);
		puts(entries[i].line);
	}
	if (fflush(stdout) != 0 || ferror(stdout))
		err(1, "write the listing");
	return 0;
}
