#include "backup/age.h"

#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { key_max = 1 << 20, said_max = 4096 }; /* bytes */

/* ---- the key ---- */

void age_key_free(struct age_key *k)
{
	if (k->fd >= 0)
		(void)close(k->fd); /* in memory */
	free(k->shown);
	*k = (struct age_key)AGE_KEY_NONE;
}

/* As other processes of this user open it. The caller frees. */
static char *path_of(int fd)
{
	return xasprintf("/proc/%d/fd/%d", (int)getpid(), fd);
}

static int keep(const char *text, size_t len, const char *shown, struct age_key *ret, struct error *e)
{
	_cleanup_(age_key) struct age_key k = AGE_KEY_NONE;
	int r = k.fd = memory_file(e);

	if (r < 0)
		return r;
	r = write_all(k.fd, text, len);
	if (r < 0)
		return error_errno(e, -r, "keep the key");
	k.shown = xstrdup(shown);
	*ret = k;
	k = (struct age_key)AGE_KEY_NONE;
	return 0;
}

/* A file of identities that is itself encrypted, to a passphrase: in its binary form, or armored. */
static bool has_passphrase(const char *text)
{
	return str_after(text, "age-encryption.org/") ||
	       str_after(text, "-----BEGIN AGE ENCRYPTED FILE-----");
}

static int open_passphrase(const char *path, struct age_key *ret, struct error *e)
{
	_cleanup_(age_key) struct age_key k = AGE_KEY_NONE;
	const struct proc_options o = { .interactive = true };
	int r = k.fd = memory_file(e);

	if (r < 0)
		return r;
	_cleanup_(free) char *out = path_of(k.fd);
	const char *argv[] = { "age", "-d", "-o", out, path, NULL };

	r = proc_run(argv, &o, e);
	if (r < 0)
		return error_text(e, ENOKEY, "open the identity %s: its passphrase does not open it", path);
	k.shown = xstrdup(path);
	*ret = k;
	k = (struct age_key)AGE_KEY_NONE;
	return 0;
}

int age_key_load(const char *path, struct age_key *ret, struct error *e)
{
	_cleanup_(free) char *text = NULL;
	size_t len = 0;
	int r = read_file_at(AT_FDCWD, path, key_max, &text, &len, e);

	if (r < 0)
		return r;
	if (len == 0)
		return error_text(e, ENOKEY, "%s: it is empty; expected an age identity", path);
	r = has_passphrase(text) ? open_passphrase(path, ret, e) : keep(text, len, path, ret, e);
	explicit_bzero(text, len);
	return r;
}

int age_key_typed(const char *text, struct age_key *ret, struct error *e)
{
	_cleanup_(free) char *line = xasprintf("%s\n", text);
	int r = keep(line, strlen(line), "the key that was typed", ret, e);

	explicit_bzero(line, strlen(line));
	return r;
}

/* ---- the process ---- */

static int start(const char *const argv[], struct age *ret, struct error *e)
{
	_cleanup_(age) struct age a = AGE_NONE;
	int to[2], from[2];
	int r = a.said = memory_file(e);

	if (r < 0 || (r = make_pipe(to, e)) < 0)
		return r;
	a.in = to[1];
	_cleanup_(fd) int in = to[0];

	r = make_pipe(from, e);
	if (r < 0)
		return r;
	a.out = from[0];
	_cleanup_(fd) int out = from[1];
	const struct proc_options o = { .stdin_fd = in, .stdout_fd = out, .stderr_fd = a.said };

	r = proc_spawn(argv, &o, &a.proc, e);
	if (r < 0)
		return r;
	*ret = a;
	a = (struct age)AGE_NONE;
	return 0;
}

int age_encrypt(const struct strlist *recipients, struct age *ret, struct error *e)
{
	_cleanup_(free) const char **argv = xcalloc(2 * recipients->count + 3, sizeof(*argv));
	size_t n = 0;

	argv[n++] = "age";
	argv[n++] = "-e";
	for (size_t i = 0; i < recipients->count; i++) {
		argv[n++] = *recipients->items[i] == '/' ? "-R" : "-r";
		argv[n++] = recipients->items[i];
	}
	return start(argv, ret, e);
}

int age_decrypt(const struct age_key *key, struct age *ret, struct error *e)
{
	_cleanup_(free) char *path = path_of(key->fd);
	const char *argv[] = { "age", "-d", "-i", path, NULL };

	return start(argv, ret, e);
}

/* Of its two lines the second one only says where to report the first. */
static int said(const struct age *a, struct error *e)
{
	_cleanup_(free) char *text = xmalloc(said_max + 1);
	ssize_t n = pread_full(a->said, text, said_max, 0);

	text[n > 0 ? n : 0] = '\0';
	const char *at = strstr(text, "age: error: ");

	if (!at)
		return -e->code; /* proc_wait()'s words */
	at += strlen("age: error: ");
	return error_text(e, EBADMSG, "age: %.*s", (int)strcspn(at, "\n"), at);
}

int age_end(struct age *a, struct error *e)
{
	if (a->in >= 0)
		(void)close(TAKE_FD(a->in)); /* a pipe keeps what was written */
	int r = proc_wait(&a->proc, NULL, e);

	return r < 0 ? said(a, e) : 0;
}

void age_kill(struct age *a)
{
	if (a->in >= 0)
		(void)close(a->in); /* of what is thrown away */
	if (a->out >= 0)
		(void)close(a->out); /* read side */
	proc_kill(&a->proc);
	if (a->said >= 0)
		(void)close(a->said); /* in memory */
	*a = (struct age)AGE_NONE;
}

int age_check_recipients(const struct strlist *recipients, struct error *e)
{
	_cleanup_(age) struct age a = AGE_NONE;
	char buf[4096];
	int r = age_encrypt(recipients, &a, e);

	if (r < 0)
		return r;
	(void)close(TAKE_FD(a.in)); /* nothing is to be encrypted */
	while (read_full(a.out, buf, sizeof(buf)) > 0)
		;
	return age_end(&a, e);
}

/* ---- the format ---- */

size_t age_header_len(const char *data, size_t len)
{
	static const char begin[] = "age-encryption.org/v1\n", mac[] = "\n--- ";

	if (len < sizeof(begin) || memcmp(data, begin, sizeof(begin) - 1) != 0)
		return 0;
	const char *at = memmem(data, len, mac, sizeof(mac) - 1);
	const char *end = at ? memchr(at + 1, '\n', len - (size_t)(at + 1 - data)) : NULL;

	return end ? (size_t)(end + 1 - data) : 0;
}

uint64_t age_file_size(size_t header, uint64_t plain)
{
	enum { nonce = 16, piece = 64 << 10, tag = 16 };
	uint64_t pieces = plain ? (plain + piece - 1) / piece : 1;

	return header + nonce + plain + pieces * tag;
}
