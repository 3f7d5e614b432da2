#include "base/unreadable.h"

#include "base/fs.h"
#include "base/leftover.h"

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { rooms_max = 64 }; /* of more of them the line is missing */

/* Changed by who has the lock; a signal handler reads them whenever it likes. */
static struct room {
	_Atomic(const char *) from; /* NULL: free */
	_Atomic size_t len;
} rooms[rooms_max];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char line[PATH_MAX + 128];

static bool is_noted(const char *at)
{
	for (size_t i = 0; i < rooms_max; i++) {
		const char *from = atomic_load(&rooms[i].from);

		if (from && at >= from && (size_t)(at - from) < atomic_load(&rooms[i].len))
			return true;
	}
	return false;
}

/* Only calls what a signal handler may (signal-safety(7)). */
static void on_bus_error(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	if (!is_noted(info->si_addr))
		return; /* it comes again, and ends us: SA_RESETHAND */
	(void)!write(STDERR_FILENO, line, strlen(line)); /* there is nobody else to tell */
	leftover_remove();
	_exit(EXIT_FAILURE);
}

static void take_signal(void)
{
	const struct sigaction ours = { .sa_sigaction = on_bus_error,
					.sa_flags = SA_SIGINFO | (int)SA_RESETHAND };

	/* over a progress bar, as report_error() does */
	(void)snprintf(line, sizeof(line), "%slifeboat: read back from %s what is known of the files: %s\n",
		       isatty(STDERR_FILENO) ? "\r\033[K" : "", temp_folder(), strerror(EIO));
	(void)sigaction(SIGBUS, &ours, NULL); /* a valid number cannot fail */
}

void unreadable_note(const void *from, size_t len)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, take_signal); /* these cannot fail */
	(void)pthread_mutex_lock(&lock);
	for (size_t i = 0; i < rooms_max; i++) {
		if (atomic_load(&rooms[i].from))
			continue;
		atomic_store(&rooms[i].len, len);
		atomic_store(&rooms[i].from, from);
		break;
	}
	(void)pthread_mutex_unlock(&lock);
}

void unreadable_forget(const void *from)
{
	(void)pthread_mutex_lock(&lock);
	for (size_t i = 0; i < rooms_max; i++)
		if (atomic_load(&rooms[i].from) == from)
			atomic_store(&rooms[i].from, NULL);
	(void)pthread_mutex_unlock(&lock);
}
