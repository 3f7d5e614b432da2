#include "base/leftover.h"

#include "base/fs.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

enum { notes_max = 32 };
enum { NOTE_FREE, NOTE_BUSY, NOTE_READY };

static struct note {
	atomic_int state;
	pid_t owner; /* a child that was forked must not remove what is its parent's */
	int dirfd;
	const char *name;
} notes[notes_max];

/* Our children work on in a folder that is just being emptied, until our end ends them. */
static void remove_noted(const struct note *n)
{
	for (int try = 0; try < 100; try++)
		if (remove_tree_at(n->dirfd, n->name, NULL) == 0)
			return; /* if never, nobody is left to be told */
}

/* signal-safety(7); so is remove_tree_at(). */
void leftover_remove(void)
{
	for (size_t i = 0; i < notes_max; i++) {
		int ready = NOTE_READY;

		if (notes[i].owner == getpid() &&
		    atomic_compare_exchange_strong(&notes[i].state, &ready, NOTE_BUSY))
			remove_noted(&notes[i]);
	}
}

static void on_signal(int number)
{
	leftover_remove();
	(void)raise(number); /* comes through at our end: SA_RESETHAND */
}

static void take_signals(void)
{
	static const int ending[] = { SIGINT, SIGTERM, SIGHUP };
	const struct sigaction ours = { .sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND };
	struct sigaction old;

	/* Valid numbers and addresses cannot fail. */
	for (size_t i = 0; i < sizeof(ending) / sizeof(*ending); i++)
		if (sigaction(ending[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL)
			(void)sigaction(ending[i], &ours, NULL);
}

int leftover_note(int dirfd, const char *name)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, take_signals); /* cannot fail */
	for (int i = 0; i < notes_max; i++) {
		int expected = NOTE_FREE;

		if (!atomic_compare_exchange_strong(&notes[i].state, &expected, NOTE_BUSY))
			continue;
		notes[i].owner = getpid();
		notes[i].dirfd = dirfd;
		notes[i].name = name;
		atomic_store(&notes[i].state, NOTE_READY);
		return i;
	}
	return -1;
}

void leftover_forget(int note)
{
	if (note >= 0)
		atomic_store(&notes[note].state, NOTE_FREE);
}
