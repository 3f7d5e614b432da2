/* Sources: os-release(5), ext4(5), xfs(5) and btrfs(5) on the options that keep a journal from being replayed. */
#include "enter/systems.h"

#include "base/fs.h"
#include "base/in_root.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

enum { max_text = 65536 };

void systems_free(struct systems *s)
{
	for (size_t i = 0; i < s->count; i++) {
		free(s->items[i].node);
		free(s->items[i].type);
		free(s->items[i].subvolume);
		free(s->items[i].name);
		free(s->items[i].host);
	}
	free(s->items);
	*s = (struct systems) { 0 };
}

/* Shell-like quoting as os-release(5) allows it: one pair of quotes, backslashes inside. */
static char *unquoted(const char *value)
{
	_cleanup_(strbuf) struct strbuf b = { 0 };
	char quote = *value == '"' || *value == '\'' ? *value++ : '\0';

	strbuf_puts(&b, "");
	for (; *value && *value != quote; value++) {
		if (*value == '\\' && quote != '\'' && value[1])
			value++;
		strbuf_add(&b, value, 1);
	}
	return str_printable(TAKE_PTR(b.data));
}

char *os_release_name(const char *text)
{
	static const char *const keys[] = { "PRETTY_NAME=", "NAME=", "ID=" };

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		_cleanup_(free) char *copy = xstrdup(text);

		for (char *rest = copy, *line; (line = strsep(&rest, "\n"));) {
			const char *value = str_after(str_strip(line), keys[i]);

			if (value && *value)
				return unquoted(value);
		}
	}
	return NULL;
}

/* Links, absolute ones too, do not lead out of the root. */
static char *read_inside(int root_fd, const char *path)
{
	_cleanup_(fd) int fd = open_in_root(root_fd, path, O_RDONLY | O_NONBLOCK);
	_cleanup_(free) char *text = xcalloc(1, max_text);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || read_full(fd, text, max_text - 1) < 0)
		return NULL;
	return TAKE_PTR(text);
}

static bool add_system(struct systems *s, const struct block *b, int root_fd, const char *subvolume,
		       bool anyway)
{
	_cleanup_(free) char *release = read_inside(root_fd, "etc/os-release");
	_cleanup_(free) char *fstab = read_inside(root_fd, "etc/fstab");
	_cleanup_(free) char *host = read_inside(root_fd, "etc/hostname");

	if (!release)
		release = read_inside(root_fd, "usr/lib/os-release");
	if (!release && !fstab && !anyway)
		return false;
	s->items = xgrow(s->items, s->count + 1, &s->capacity, sizeof(*s->items));
	struct installed *new = &s->items[s->count++];

	*new = (struct installed) { .node = xstrdup(b->node),
				    .type = xstrdup(b->type),
				    .subvolume = subvolume ? xstrdup(subvolume) : NULL,
				    .name = release ? os_release_name(release) : NULL };
	if (!new->name)
		new->name = xstrdup("unknown system");
	if (host && *str_strip(host))
		new->host = xstrdup(str_printable(str_strip(host)));
	return true;
}

static int mount_to_look(const struct block *b, const char *folder, bool top)
{
	static const struct {
		const char *type, *options;
	} quiet[] = { { "ext3", "noload" },
		      { "ext4", "noload" },
		      { "xfs", "norecovery" },
		      { "btrfs", "rescue=nologreplay" } };
	const char *options = "";

	for (size_t i = 0; i < sizeof(quiet) / sizeof(*quiet); i++)
		if (streq(b->type, quiet[i].type))
			options = quiet[i].options;
	_cleanup_(free) char *all = xasprintf("%s%s", options, top ? ",subvolid=5" : "");

	return mount(b->node, folder, b->type, MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, all) < 0
		       ? negative_errno()
		       : 0;
}

/* The usual subvolumes of roots lie at the top of a btrfs: @, @rootfs, root. */
static void look_into_top(struct systems *s, const struct block *b, int top_fd)
{
	DIR *d = fdopendir(dup(top_fd));
	const struct dirent *entry;

	while (d && (entry = readdir(d))) {
		_cleanup_(fd) int fd =
			openat(top_fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		struct stat st;

		/* btrfs: the root of a subvolume has inode number 256 */
		if (entry->d_name[0] != '.' && fd >= 0 && fstat(fd, &st) == 0 && st.st_ino == 256)
			(void)add_system(s, b, fd, entry->d_name, false); /* most hold none */
	}
	if (d)
		(void)closedir(d); /* read side */
}

static int look(struct systems *s, const struct block *b, const char *folder, bool anyway, struct error *e)
{
	bool btrfs = streq(b->type, "btrfs"), found = false;

	for (int top = 0; top <= (int)btrfs && !found; top++) {
		int r = mount_to_look(b, folder, top);

		if (r < 0)
			return error_errno(e, -r, "mount %s (%s)", b->node, b->type);
		_cleanup_(fd) int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (fd >= 0 && top)
			look_into_top(s, b, fd);
		else if (fd >= 0)
			found = add_system(s, b, fd, NULL, anyway && !btrfs);
		if (fd >= 0)
			(void)close(TAKE_FD(fd)); /* read side */
		if (umount2(folder, UMOUNT_NOFOLLOW) < 0)
			return error_errno(e, errno, "unmount %s", folder);
	}
	return 0;
}

/* Without a file system nothing can be found; the person's own device may be too damaged to be mounted yet. */
static void add_unmountable(struct systems *s, const struct block *b)
{
	s->items = xgrow(s->items, s->count + 1, &s->capacity, sizeof(*s->items));
	s->items[s->count++] = (struct installed) { .node = xstrdup(b->node),
						    .type = xstrdup(b->type),
						    .name = xstrdup("unknown system") };
}

/* No Unix system lies on these: an EFI system partition need not be mounted to know that. */
static bool may_hold_system(const struct block *b)
{
	static const char *const never[] = { "vfat", "exfat", "ntfs", "iso9660", "udf", "hfsplus" };

	for (size_t i = 0; i < sizeof(never) / sizeof(*never); i++)
		if (streq(b->type, never[i]))
			return false;
	return true;
}

static bool is_node(const char *only, const struct block *b)
{
	struct stat st;

	return only && stat(only, &st) == 0 && st.st_rdev == b->number;
}

/* Is it a further device of a btrfs that was seen by its first one? */
static bool is_another_of(const struct blocks *blocks, size_t index)
{
	const struct block *b = &blocks->items[index];

	for (size_t i = 0; i < index && b->type && streq(b->type, "btrfs") && b->uuid; i++)
		if (blocks->items[i].type && streq(blocks->items[i].type, "btrfs") && blocks->items[i].uuid &&
		    streq(blocks->items[i].uuid, b->uuid) && !blocks->items[i].busy)
			return true;
	return false;
}

int systems_find(const char *only, const char *folder, struct systems *ret, struct report *report,
		 struct error *e)
{
	_cleanup_(systems) struct systems s = { 0 };
	_cleanup_(blocks) struct blocks blocks = { 0 };
	int r = blocks_find(only, &blocks, e);

	for (size_t i = 0; r == 0 && i < blocks.count; i++) {
		const struct block *b = &blocks.items[i];
		bool anyway = is_node(only, b);

		if (anyway && b->busy && (b->filesystem || !b->type))
			return error_text(e, EBUSY, "enter %s: it is mounted or otherwise in use", b->node);
		if (!b->filesystem || b->busy || (!anyway && !may_hold_system(b)) ||
		    is_another_of(&blocks, i))
			continue;
		if (look(&s, b, folder, anyway, e) < 0) {
			report_warn(report, "%s", e->text);
			if (anyway)
				add_unmountable(&s, b);
		}
	}
	if (r < 0)
		return r;
	*ret = s;
	s = (struct systems) { 0 };
	return 0;
}
