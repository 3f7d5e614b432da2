#include "enter/interrupt.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t noted;

static void on_signal(int number)
{
	(void)number; /* whichever it is */
	noted = 1;
}

void interrupt_note(void)
{
	static const int ending[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	/* no SA_RESTART: who waits for an answer stops waiting */
	const struct sigaction ours = { .sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND };
	struct sigaction old;

	/* valid numbers and addresses cannot fail; what nohup(1) has ignored stays so */
	for (size_t i = 0; i < sizeof(ending) / sizeof(*ending); i++)
		if (sigaction(ending[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			(void)sigaction(ending[i], &ours, NULL);
}

bool interrupted(void)
{
	return noted;
}

int interrupt_check(struct error *e)
{
	return noted ? error_text(e, EINTR, "ended by a signal") : 0;
}
