/* Mounting them, and the files of their streams. */
#include "cmd/by_hand_page.h"

#include "backup/age.h"
#include "machine/btrfs.h"

static int by_mountpoint(const void *a, const void *b)
{
	const char *m = (*(const struct device *const *)a)->content.mountpoint;
	const char *n = (*(const struct device *const *)b)->content.mountpoint;

	if (m && n)
		return strcmp(m, n);
	return m ? -1 : n ? 1 : 0;
}

/* Where it is mounted meanwhile: a subvolume without a place of its own beside the others. The caller frees. */
char *page_folder(const struct device *d)
{
	const struct content *c = &d->content;

	if (!c->mountpoint)
		return xasprintf("/mnt/hd.%s", d->name);
	return xasprintf("/mnt/hd%s", streq(c->mountpoint, "/") ? "" : c->mountpoint);
}

static bool has_stream(const struct source *s, const char *set, const char *name, const char *method)
{
	_cleanup_(free) char *first = xasprintf("%s%s.%s.zst.000", set, name, method);

	return strlist_has(s->files, first) || page_is_sealed(s->files, set, name, method);
}

/* `env`: a busybox shell would take its own tar, which knows neither attributes nor ACLs. A FAT file system has no
 * owners and modes. */
static void put_cat(struct strbuf *b, const struct source *s, const char *set, const struct content *c,
		    const char *method, const char *folder)
{
	page_stream(b, s->files, set, c->stream, method);
	strbuf_puts(b, " | (cd ");
	page_quote(b, folder);
}

/* tar stops at the archive's mark; what stands behind that is read, too, or it would break the pipe. */
static void put_untar(struct strbuf *b, const struct source *s, const char *set, const struct content *c,
		      const char *folder)
{
	put_cat(b, s, set, c, c->method, folder);
	strbuf_puts(b, streq(c->type, "vfat")
			       ? " && env tar -xf - --no-same-owner --no-same-permissions && cat "
				 ">/dev/null)\n"
			       : " && env tar -xpf - --numeric-owner --acls --xattrs "
				 "'--xattrs-include=*' --warning=no-unknown-keyword && cat >/dev/null)\n");
}

static void put_undump(struct strbuf *b, const struct source *s, const char *set, const struct content *c,
		       const char *folder)
{
	put_cat(b, s, set, c, c->method, folder);
	strbuf_puts(b, " && restore -r -b 1024 -f -)\n");
}

/* What is protected would stand in the way of what follows. */
static void put_unprotect(struct strbuf *b, const char *folder)
{
	strbuf_puts(b, "(cd ");
	page_quote(b, folder);
	strbuf_puts(b, " && find . -xdev '(' -type f -o -type d ')' -exec chattr -ia {} +)\n");
}

static void put_xfsrestore(struct strbuf *b, const struct source *s, const char *set, const struct content *c,
			   const char *folder)
{
	put_unprotect(b, folder);
	put_cat(b, s, set, c, c->method, folder);
	strbuf_puts(b, " && xfsrestore -J -F -B -r - .)\n");
}

/* What was deleted since the set below. */
static void put_deleted(struct strbuf *b, const struct source *s, const char *set, const struct content *c,
			const char *folder)
{
	put_cat(b, s, set, c, "deleted", folder);
	strbuf_puts(b, " && xargs -0 rm -rf --)\n");
}

/* Parts of seconds. bash: records end with a NUL, which in other locales a broken character before it would swallow. The flags
 * of a file that may not be changed step aside. */
static void put_times(struct strbuf *b, const struct source *s, const char *set, const struct content *c,
		      const char *folder)
{
	put_cat(b, s, set, c, "times", folder);
	strbuf_puts(b, " && LC_ALL=C bash -c 'while IFS= read -r -d \"\" line; do\n"
		       "  line=${line#* } t=@${line%% *} f=./${line#* }\n"
		       "  touch -c -h -m -d \"$t\" \"$f\" 2>/dev/null && continue\n"
		       "  k=$(lsattr -d \"$f\" 2>/dev/null | head -n 1 | cut -d \" \" -f 1 | tr -cd ai)\n"
		       "  [ -z \"$k\" ] || chattr \"-$k\" \"$f\"\n"
		       "  touch -c -h -m -d \"$t\" \"$f\"\n"
		       "  [ -z \"$k\" ] || chattr \"+$k\" \"$f\"\n"
		       "done')\n");
}

static void put_flags(struct strbuf *b, const struct source *s, const char *set, const struct content *c,
		      const char *folder)
{
	put_cat(b, s, set, c, "flags", folder);
	strbuf_puts(b, " && LC_ALL=C bash -c 'while IFS= read -r -d \"\" line; do "
		       "chattr \"+${line%% *}\" \"./${line#* }\" || exit 1; done')\n");
}

/* What the stream does not hold. */
static void put_beside(struct strbuf *b, const struct source *s, const char *set, const struct content *c,
		       const char *folder)
{
	if (has_stream(s, set, c->stream, "times"))
		put_times(b, s, set, c, folder);
	if (has_stream(s, set, c->stream, "flags"))
		put_flags(b, s, set, c, folder);
}

/* xfsrestore's part of the chain. */
static void put_xfs_link(struct strbuf *b, const struct source *s, const char *set, const struct content *c,
			 const char *folder, bool last)
{
	put_xfsrestore(b, s, set, c, folder);
	if (!last)
		return;
	strbuf_puts(b, "rm -r ");
	page_quote(b, folder);
	strbuf_puts(b, "/xfsrestorehousekeepingdir\n");
	put_unprotect(b, folder);
	put_beside(b, s, set, c, folder);
}

/* One set of the chain; `last` is the one whose attributes and times count. */
static void put_link(struct strbuf *b, const struct source *s, const char *set, const struct content *c,
		     const char *folder, bool last)
{
	bool archive = streq(c->method, "archive");

	if (streq(c->method, "send")) { /* it is there */
		put_beside(b, s, set, c, folder);
		return;
	}
	if (streq(c->method, "xfsdump")) {
		put_xfs_link(b, s, set, c, folder, last);
		return;
	}
	if (archive && has_stream(s, set, c->stream, "deleted"))
		put_deleted(b, s, set, c, folder);
	if (archive)
		put_untar(b, s, set, c, folder);
	else
		put_undump(b, s, set, c, folder);
	if (!archive && !last)
		return;
	if (!archive) {
		strbuf_puts(b, "rm ");
		page_quote(b, folder);
		strbuf_puts(b, "/restoresymtable\n");
	}
	if (has_stream(s, set, c->stream, "xattrs")) {
		put_cat(b, s, set, c, "xattrs", folder);
		/* a record ends with an empty line; the flags of a file that may not be changed step aside */
		strbuf_puts(
			b,
			" && LC_ALL=C bash -c 'r=; while IFS= read -r l; do\n"
			"  if [ -n \"$l\" ]; then\n"
			"    printf -v r \"%s%s\\n\" \"$r\" \"$l\"\n"
			"    case $l in \"# file: \"*) printf -v f ./%b \"${l#??file: }\";; esac\n"
			"  else\n"
			"    k=$(lsattr -d \"$f\" 2>/dev/null | head -n 1 | cut -d \" \" -f 1 | tr -cd ai)\n"
			"    [ -z \"$k\" ] || chattr \"-$k\" \"$f\"\n"
			"    printf %s \"$r\" | setfattr -h --restore=- || exit 1\n"
			"    [ -z \"$k\" ] || chattr \"+$k\" \"$f\"\n"
			"    r=\n"
			"  fi\n"
			"done')\n");
	}
	if (has_stream(s, set, c->stream, "times"))
		put_times(b, s, set, c, folder);
}

static void put_restore(struct strbuf *b, const struct source *s, const struct content *c, const char *folder)
{
	_cleanup_(strlist) struct strlist sets = { 0 };

	if (s->chain)
		s->chain(s->user, c->stream, &sets);
	else
		strlist_add(&sets, "");
	for (size_t i = 0; i < sets.count; i++)
		put_link(b, s, sets.items[i], c, folder, i + 1 == sets.count);
}

/* The mounted file systems, each after those above it. The caller frees the array. */
const struct device **page_mounted(const struct machine *m, size_t *ret_count)
{
	const struct device **mounted = xcalloc(m->count, sizeof(*mounted));
	size_t count = 0;

	for (size_t i = 0; i < m->count; i++) {
		const struct content *c = &m->devices[i]->content;

		if ((c->kind == CONTENT_FILESYSTEM && c->mountpoint && *c->mountpoint == '/') ||
		    (c->kind == CONTENT_SUBVOLUME && (c->mountpoint || c->stream)))
			mounted[count++] = m->devices[i];
	}
	qsort(mounted, count, sizeof(*mounted), by_mountpoint);
	*ret_count = count;
	return mounted;
}

static void put_seal(struct strbuf *b, const struct device *d, const char *folder)
{
	if (!d->subvolume.read_only)
		return;
	strbuf_puts(b, "btrfs property set ");
	page_quote(b, folder);
	strbuf_puts(b, " ro true\n");
}

static void put_exclusions(struct strbuf *b, const struct source *s)
{
	if (!s->exclude || !s->exclude->count)
		return;
	_cleanup_(free) char *patterns = strlist_join(s->exclude, " ");

	strbuf_puts(b, "#    Left out of this backup, by exclude: ");
	page_remark(b, patterns);
	strbuf_puts(b,
		    "\n#    (the .excluded files have each path). Of a folder only its name is there.\n\n");
}

void page_files(struct strbuf *b, const struct machine *m, const struct source *s)
{
	size_t count;
	_cleanup_(free) const struct device **mounted = page_mounted(m, &count);

	strbuf_puts(
		b,
		"# 5. The files. restore(8) may say that lost+found exists: that is fine. Where there are\n"
		"#    .xattrs and .times, they put back attributes and parts of seconds that dump(8)\n"
		"#    drops. What chattr(1) sets is in an .archive, but GNU tar does not put it back.\n\n");
	put_exclusions(b, s);
	for (size_t i = 0; i < count; i++) {
		const struct content *c = &mounted[i]->content;
		_cleanup_(free) char *folder = page_folder(mounted[i]);

		strbuf_puts(b, "mkdir -p ");
		page_quote(b, folder);
		strbuf_puts(b, "\nmount");
		if (mounted[i]->kind == DEVICE_SUBVOLUME) {
			_cleanup_(free) char *data = btrfs_mount_data(mounted[i]);

			page_option(b, "-o", data);
		}
		strbuf_puts(b, " ");
		page_node(b, mounted[i]);
		strbuf_puts(b, " ");
		page_quote(b, folder);
		strbuf_puts(b, "\n");
		if (c->stream && has_stream(s, "", c->stream, c->method)) {
			put_restore(b, s, c, folder);
			put_seal(b, mounted[i], folder);
		} else {
			strbuf_puts(b, "# ");
			page_remark(b, c->mountpoint ? c->mountpoint : mounted[i]->name);
			strbuf_puts(b, " was not backed up.\n");
		}
		strbuf_puts(b, "\n");
	}
}
