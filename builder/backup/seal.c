#include "backup/seal.h"

#include "backup/age.h"
#include "base/fs.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

enum { block = 256 << 10 };

struct seal {
	struct age age;
	pthread_t thread;
	bool running;
	int (*put)(void *user, const char *data, size_t len, struct error *e);
	void *user;
	struct error error; /* of `put`, or of reading; looked at when the thread has ended */
};

static void *put_all(void *user)
{
	struct seal *s = user;
	_cleanup_(free) char *data = xmalloc(block);
	struct error why; /* also what was got over, as when one of several places is given up */
	ssize_t n;
	int r = 0;

	while (r == 0 && (n = read_full(s->age.out, data, block)) > 0)
		r = s->put(s->user, data, (size_t)n, &why);
	if (r < 0)
		s->error = why;
	else if (n < 0)
		(void)error_errno(&s->error, (int)-n, "read what age wrote");
	(void)close(
		TAKE_FD(s->age.out)); /* read side: age ends, if it has not, and whoever writes to it knows */
	return NULL;
}

int seal_begin(const struct strlist *recipients,
	       int (*put)(void *user, const char *data, size_t len, struct error *e), void *user,
	       struct seal **ret, struct error *e)
{
	struct seal *s = xcalloc(1, sizeof(*s));

	*s = (struct seal) { .age = AGE_NONE, .put = put, .user = user };
	int r = age_encrypt(recipients, &s->age, e), code = 0;

	if (r == 0)
		code = pthread_create(&s->thread, NULL, put_all, s);
	if (code)
		r = error_errno(e, code, "start a thread");
	s->running = r == 0;
	if (r < 0)
		seal_free(s);
	else
		*ret = s;
	return r;
}

static void join(struct seal *s)
{
	if (s->running)
		(void)pthread_join(s->thread, NULL); /* ours, joinable, once */
	s->running = false;
}

int seal_end(struct seal *s, struct error *e)
{
	if (s->age.in >= 0)
		(void)close(TAKE_FD(s->age.in)); /* a pipe keeps what was written */
	join(s);
	if (s->error.code) { /* age is killed with `s` */
		*e = s->error;
		return -e->code;
	}
	return age_end(&s->age, e);
}

int seal_write(struct seal *s, const void *data, size_t len, struct error *e)
{
	int r = write_all(s->age.in, data, len);

	if (r == 0)
		return 0;
	struct error why;

	(void)error_errno(e, -r, "write to age");
	if (seal_end(s, &why) < 0) /* the cause */
		*e = why;
	return -e->code;
}

void seal_free(struct seal *s)
{
	if (!s)
		return;
	if (s->age.in >= 0)
		(void)close(TAKE_FD(s->age.in)); /* of what is thrown away */
	if (s->running)
		proc_kill(&s->age.proc); /* then the thread comes to its end */
	join(s);
	age_kill(&s->age);
	free(s);
}
