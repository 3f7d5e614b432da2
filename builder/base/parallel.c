#include "base/parallel.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>

struct job {
	void (*work)(void *user, size_t index, unsigned thread);
	void *user;
	size_t count;
	atomic_size_t next;
};

struct worker {
	struct job *job;
	unsigned number;
	pthread_t id;
};

unsigned parallel_threads(void)
{
	cpu_set_t ours;
	/* It fails where there are more cores than the set has room for. */
	int cores = sched_getaffinity(0, sizeof(ours), &ours) == 0 ? CPU_COUNT(&ours) : PARALLEL_MAX;

	return cores > PARALLEL_MAX ? PARALLEL_MAX : (unsigned)cores;
}

static void *run(void *user)
{
	const struct worker *w = user;
	struct job *job = w->job;

	for (size_t i; (i = atomic_fetch_add(&job->next, 1)) < job->count;)
		job->work(job->user, i, w->number);
	return NULL;
}

void parallel_run(size_t count, void (*work)(void *user, size_t index, unsigned thread), void *user)
{
	struct job job = { .work = work, .user = user, .count = count };
	struct worker workers[PARALLEL_MAX];
	unsigned wanted = parallel_threads(), started = 1;
	sigset_t all, before;

	/* Signals stay the business of the thread that asked. */
	(void)sigfillset(&all); /* cannot fail */
	(void)pthread_sigmask(SIG_SETMASK, &all, &before); /* cannot fail with these arguments */
	for (unsigned i = 1; i < wanted && i < count; i++) {
		workers[started] = (struct worker) { .job = &job, .number = started };
		if (pthread_create(&workers[started].id, NULL, run, &workers[started]) != 0)
			break;
		started++;
	}
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	workers[0] = (struct worker) { .job = &job, .number = 0 };
	(void)run(&workers[0]);
	for (unsigned i = 1; i < started; i++)
		(void)pthread_join(workers[i].id, NULL); /* it was started and is not detached */
}
