#include "backup/unseal.h"

#include "backup/age.h"
#include "backup/chunk_file.h"
#include "base/fs.h"

#include <errno.h>
#include <pthread.h>

enum { block = 256 << 10 };

struct unseal {
	struct age age;
	struct chunk_file file;
	char *buffer; /* the thread's */
	char *shown; /* SET/CHUNK */
	pthread_t thread;
	bool running;
	struct error error; /* of reading the file; looked at when the thread has ended */
};

/* The file into age. When age has enough of it, it says why itself. */
static void *feed_age(void *user)
{
	struct unseal *u = user;
	ssize_t n;

	do {
		n = chunk_file_read(&u->file, u->buffer, block, &u->error);
		if (n > 0 && write_all(u->age.in, u->buffer, (size_t)n) < 0)
			break;
	} while (n == block);
	/* A pipe keeps what was written; what is cut off age does not take for an end. */
	(void)close(TAKE_FD(u->age.in));
	return NULL;
}

int unseal_open(struct set *s, const struct sum *chunk, struct report *report, struct unseal **ret,
		struct error *e)
{
	_cleanup_(unseal) struct unseal *u = xcalloc(1, sizeof(*u));

	u->file = (struct chunk_file)CHUNK_FILE_NONE;
	u->age = (struct age)AGE_NONE;
	*u = (struct unseal) { .age = u->age,
			       .file = u->file,
			       .buffer = xmalloc(block),
			       .shown = xasprintf("%s/%s", s->shown, chunk->name) };
	if (!s->key)
		return error_text(e, ENOKEY, "%s is encrypted: --identity FILE names the key that opens it",
				  s->shown);
	int r = chunk_file_open(s, chunk, u->buffer, block, &u->file, report, e);

	if (r == 0)
		r = age_decrypt(s->key, &u->age, e);
	if (r < 0)
		return r;
	int code = pthread_create(&u->thread, NULL, feed_age, u);

	if (code)
		return error_errno(e, code, "start a thread");
	u->running = true;
	*ret = TAKE_PTR(u);
	return 0;
}

static void join(struct unseal *u)
{
	if (u->running)
		(void)pthread_join(u->thread, NULL); /* ours, joinable, once */
	u->running = false;
}

/* The file's own fault comes before what age makes of it. */
static int end(struct unseal *u, struct error *e)
{
	join(u);
	if (u->error.code) {
		*e = u->error;
		return -e->code;
	}
	int r = age_end(&u->age, e);

	if (r < 0)
		error_prefix(e, "%s", u->shown);
	return r;
}

ssize_t unseal_read(struct unseal *u, char *data, size_t len, struct error *e)
{
	ssize_t n = read_full(u->age.out, data, len);

	if (n < 0)
		return error_errno(e, (int)-n, "%s: read what age wrote", u->shown);
	if ((size_t)n == len)
		return n;
	int r = u->age.proc.pid ? end(u, e) : 0;

	return r < 0 ? r : n;
}

void unseal_close(struct unseal *u)
{
	if (!u)
		return;
	if (u->running)
		proc_kill(&u->age.proc); /* then nobody reads what the thread writes */
	join(u);
	age_kill(&u->age);
	chunk_file_close(&u->file);
	free(u->buffer);
	free(u->shown);
	free(u);
}
