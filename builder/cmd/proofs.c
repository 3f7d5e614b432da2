#include "cmd/proofs.h"

#include "base/fs.h"
#include "guest/proof.h"
#include "guest/proof_text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

/* Names of folders with a proof in them, the newest last. None is no error. */
static int find(const char *folder, struct strlist *ret, struct error *e)
{
	_cleanup_(free) char *path = xasprintf("%s/" PROOFS_FOLDER, folder);
	DIR *dir = opendir(path);
	const struct dirent *entry;

	if (!dir)
		return errno == ENOENT ? 0 : error_errno(e, errno, "open %s", path);
	while (errno = 0, (entry = readdir(dir)) != NULL) {
		_cleanup_(free) char *file = xasprintf("%s/%s/proof.json", path, entry->d_name);

		if (*entry->d_name != '.' &&
		    access(file, F_OK) == 0) /* a run that never got to it has none */
			strlist_take(ret, TAKE_PTR(file));
	}
	int code = errno;

	(void)closedir(dir); /* it was only read */
	if (code)
		return error_errno(e, code, "read %s", path);
	strlist_sort(ret);
	return 0;
}

static bool is_of(const struct proof *p, const char *host)
{
	const char *rest = p->set.name ? str_after(p->set.name, host) : NULL;

	return rest && *rest == '/';
}

/* The last one that counts, and the last one that proves something, which may be the same. `*ret_..._file` NULL: none. */
struct newest {
	struct proof last, proven;
	char *last_file, *proven_file;
};

static void newest_free(struct newest *n)
{
	proof_free(&n->last);
	proof_free(&n->proven);
	free(n->last_file);
	free(n->proven_file);
}
DEFINE_CLEANUP(newest, struct newest, newest_free)

static int read_newest(const struct proofs_question *q, struct newest *ret, struct error *e)
{
	_cleanup_(strlist) struct strlist files = { 0 };
	int r = find(q->folder, &files, e);

	for (size_t i = files.count; r == 0 && i-- > 0 && !ret->proven_file;) {
		_cleanup_(proof) struct proof p = { 0 };

		r = proof_read(files.items[i], &p, e);
		if (r < 0 || !is_of(&p, q->host))
			continue;
		if (p.verdict == PROOF_PROVEN) {
			ret->proven_file = xstrdup(files.items[i]);
			ret->proven = p;
		} else if (p.verdict == PROOF_FAILED && !ret->last_file) {
			ret->last_file = xstrdup(files.items[i]);
			ret->last = p;
		} else {
			continue;
		}
		p = (struct proof) { 0 };
	}
	return r;
}

/* The hash of the medium where it is a file that is still there; "" otherwise. */
static int hash_medium(const char *path, char ret_hex[DIGEST_HEX_SIZE], struct error *e)
{
	_cleanup_(fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	uint64_t len;

	*ret_hex = '\0';
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return 0; /* a stick that was taken away, as it should be */
	return digest_fd(fd, path, ret_hex, &len, e);
}

static int check_medium(const struct proofs_question *q, const struct proof *p, struct strlist *ret,
			struct error *e)
{
	char hex[DIGEST_HEX_SIZE];
	int r = hash_medium(q->medium, hex, e);

	if (r < 0)
		return r;
	if (q->medium_created > p->created)
		strlist_addf(ret, "%s was made after the last proof", q->medium);
	else if (*hex ? !streq(hex, p->medium.sha256) : !p->medium.path || !streq(p->medium.path, q->medium))
		strlist_addf(ret, "the last proof is of another medium than %s", q->medium);
	return 0;
}

/* Whatever was backed up later has its own time until it must be proven: that is the proof's age. */
static void check_set(const struct proofs_question *q, const struct proof *p, struct strlist *ret)
{
	const char *proven = p->set.name + strlen(q->host) + 1, *newest = proven;
	char begun[32] = "";
	struct tm tm;

	if (!gmtime_r(&p->created, &tm) || !strftime(begun, sizeof(begun), "%Y%m%dT%H%M%SZ", &tm))
		return; /* a year that has no four digits; then it is too old, or to come */
	for (size_t i = 0; i < q->sets->count; i++) {
		const struct set_info *s = &q->sets->items[i];

		if (s->complete && streq(s->host, q->host) && strcmp(s->name, newest) > 0 &&
		    strcmp(s->name, begun) < 0)
			newest = s->name;
	}
	if (newest != proven)
		strlist_addf(ret, "the last proof is of the backup %s, though %s was there", proven, newest);
}

static int check_proven(const struct proofs_question *q, const struct newest *n, struct strlist *ret,
			struct error *e)
{
	if (!n->proven_file) {
		strlist_addf(ret, "nothing is proven: no proof of %s in %s/" PROOFS_FOLDER, q->host,
			     q->folder);
		return 0;
	}
	if (q->now > n->proven.created && (uint64_t)(q->now - n->proven.created) > (uint64_t)q->every * 3600)
		strlist_addf(ret, "the last proof is %lld hours old, more than prove-every = %u",
			     (long long)((q->now - n->proven.created) / 3600), q->every);
	check_set(q, &n->proven, ret);
	return check_medium(q, &n->proven, ret, e);
}

int proofs_check(const struct proofs_question *q, struct strlist *ret, struct error *e)
{
	_cleanup_(newest) struct newest n = { 0 };
	int r = read_newest(q, &n, e);

	if (r < 0)
		return r;
	if (n.last_file) {
		_cleanup_(strbuf) struct strbuf reason = { 0 };

		proof_quote(&reason, n.last.reasons.items[0]); /* a record that was read has one */
		strlist_addf(ret, "the last proof failed: %s (%s)", reason.data, n.last_file);
	}
	return q->every ? check_proven(q, &n, ret, e) : 0;
}
