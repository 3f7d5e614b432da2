/* What a level needs of an encrypted set that it goes on from: its listings and indexes (and the inventories of xfsdump), kept in the clear on the machine itself,
 * for its administrator alone, as dump(8) keeps its dates there. So the key can be elsewhere. Lost, the key has to be at
 * hand, or a full set is made.
 *
 *     FOLDER/levels/TARGET/LEVEL-SUMS/NAME.listing.zst, NAME.index.zst
 *
 * TARGET is a hash of what is written, TARGET/HOST, SUMS the SHA-256 of the set's SHA256SUMS. */
#include "backup/set_private.h"

#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <zstd.h>

static const char unfinished[] = "unfinished";
enum { target_digits = 32 };

/* FOLDER/levels/TARGET of the set being written. The caller frees. */
static char *target_path(const struct set_writer *w, const char *folder)
{
	_cleanup_(digest) struct digest *d = digest_new();
	char hex[DIGEST_HEX_SIZE];

	digest_add(d, w->shown, strlen(w->shown));
	digest_hex(d, hex);
	return xasprintf("%s/levels/%.*s", folder, target_digits, hex);
}

/* The backup goes on without. */
static void give_up(struct set_writer *w, int code)
{
	report_warn(w->report,
		    "keep what the next level needs in %s: %s: it will take the key (--identity), or be a "
		    "full one",
		    w->state, strerror(code));
	state_abort(w);
}

/* ---- writing ---- */

void state_begin(struct set_writer *w, const char *folder)
{
	struct error why;

	w->state = target_path(w, folder);
	_cleanup_(free) char *path = xasprintf("%s/%s", w->state, unfinished);
	int r = remove_tree_at(AT_FDCWD, path, &why); /* of one that was killed */

	if (r == 0)
		r = mkdir_parents_at(AT_FDCWD, path, 0700, &why);
	if (r < 0)
		give_up(w, why.code);
}

int state_file(struct set_writer *w, const char *name)
{
	if (!w->state)
		return -1;
	_cleanup_(free) char *path = xasprintf("%s/%s/%s", w->state, unfinished, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		give_up(w, errno);
	return fd;
}

void state_write(struct set_writer *w, int fd, const void *data, size_t len)
{
	int r = fd >= 0 && w->state ? write_all(fd, data, len) : 0;

	if (r < 0)
		give_up(w, -r);
}

void state_file_end(struct set_writer *w, int fd)
{
	if (fd >= 0 && fsync(fd) < 0 && w->state)
		give_up(w, errno);
	if (fd >= 0)
		(void)close(fd); /* flushed */
}

/* No later set goes on from one whose level is the same or higher. */
static int remove_superseded(const char *folder, unsigned level, const char *name, struct error *e)
{
	_cleanup_(strlist) struct strlist names = { 0 };
	int r = set_read_folder(AT_FDCWD, folder, folder, &names, e);

	for (size_t i = 0; r == 0 && i < names.count; i++) {
		const char *one = names.items[i];
		_cleanup_(free) char *path = xasprintf("%s/%s", folder, one);

		if (*one >= (char)('0' + level) && *one <= '9' && one[1] == '-' && !streq(one, name))
			r = remove_tree_at(AT_FDCWD, path, e);
	}
	return r;
}

void state_commit(struct set_writer *w, const char *sums_hex)
{
	struct error why = { 0 };

	if (!w->state)
		return;
	_cleanup_(free) char *name = xasprintf("%u-%s", w->levels.level, sums_hex);
	_cleanup_(free) char *from = xasprintf("%s/%s", w->state, unfinished);
	_cleanup_(free) char *to = xasprintf("%s/%s", w->state, name);

	if (rename(from, to) < 0)
		give_up(w, errno);
	else if (remove_superseded(w->state, w->levels.level, name, &why) < 0)
		report_warn(w->report, "%s", why.text); /* too much is there, not too little */
	free(TAKE_PTR(w->state));
}

void state_abort(struct set_writer *w)
{
	if (!w->state)
		return;
	_cleanup_(free) char *path = xasprintf("%s/%s", w->state, unfinished);

	(void)remove_tree_at(AT_FDCWD, path, NULL); /* or the next one does */
	free(TAKE_PTR(w->state));
}

/* ---- reading ---- */

int state_find(const struct set_writer *w, const char *folder)
{
	_cleanup_(free) char *target = target_path(w, folder);
	_cleanup_(free) char *path =
		xasprintf("%s/%u-%s", target, w->base->levels.level, w->levels.base_sums);
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;

	if (fd < 0)
		return -1;
	/* somebody else's would say what is to be left out of the next level */
	if (fstat(fd, &st) == 0 && (st.st_uid == 0 || st.st_uid == geteuid()) && !(st.st_mode & 022))
		return fd;
	(void)close(fd); /* read side */
	return -1;
}

bool state_has(const struct set *s, const char *name, const char *method)
{
	_cleanup_(free) char *file = xasprintf("%s.%s.zst", name, method);

	return s->state_fd >= 0 && faccessat(s->state_fd, file, R_OK, 0) == 0;
}

static int unpack(ZSTD_DCtx *context, int in_fd, int out_fd)
{
	const size_t in_size = ZSTD_DStreamInSize(), out_size = ZSTD_DStreamOutSize();
	_cleanup_(free) char *in_data = xmalloc(in_size), *out_data = xmalloc(out_size);
	size_t left = 0;
	ssize_t n;
	int r = 0;

	while (r == 0 && (n = read_full(in_fd, in_data, in_size)) > 0) {
		ZSTD_inBuffer in = { in_data, (size_t)n, 0 };
		bool full = true;

		while (r == 0 && (in.pos < in.size || (full && left))) {
			ZSTD_outBuffer out = { out_data, out_size, 0 };

			left = ZSTD_decompressStream(context, &out, &in);
			if (ZSTD_isError(left))
				return -EBADMSG;
			full = out.pos == out.size;
			r = write_all(out_fd, out_data, out.pos);
		}
	}
	return r < 0 ? r : n < 0 ? (int)n : left ? -EBADMSG : 0;
}

int state_read(const struct set *s, const char *name, const char *method, int out_fd, struct error *e)
{
	_cleanup_(free) char *file = xasprintf("%s.%s.zst", name, method);
	_cleanup_(fd) int fd = openat(s->state_fd, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ZSTD_DCtx *context = ZSTD_createDCtx();
	int r = fd < 0 ? -errno : !context ? -ENOMEM : unpack(context, fd, out_fd);

	(void)ZSTD_freeDCtx(context); /* accepts NULL; always 0 */
	if (r == -EBADMSG)
		return error_text(e, EBADMSG, "what this machine kept of %s: %s: damaged", s->shown, file);
	return r < 0 ? error_errno(e, -r, "what this machine kept of %s: %s", s->shown, file) : 0;
}
