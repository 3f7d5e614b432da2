/* What a guest's life needs, whatever kind it is: a temporary folder, a keeper, its process and its
 * console, from the first byte to the last. */
#pragma once
#include "base/fs.h"
#include "base/proc.h"
#include "guest/console.h"
#include "guest/guest.h"
#include "guest/keeper.h"
#include "guest/script.h"

#include <signal.h>

struct session {
	struct tempdir temp;
	struct keeper keeper;
	struct console console;
	struct proc proc;
	int signal_fd, pid_fd;
	char *monitor; /* qemu: the path of its monitor's socket; NULL: it has none */
	bool managed; /* User-Mode Linux: it has a management console, as umid "guest" in the folder */
	bool orderly; /* SIGTERM makes it end well, with what it holds written to its disks */
	sigset_t old_mask;
	bool masked;
};
#define SESSION_NONE                                                                                     \
	{                                                                                                \
		.temp = TEMPDIR_NONE, .keeper = KEEPER_NONE, .console = CONSOLE_NONE, .proc = PROC_NONE, \
		.signal_fd = -1, .pid_fd = -1                                                            \
	}

/* The temporary folder (session.temp.path) is there from here on, and signals wait to be looked at. */
int session_begin(struct session *ret, struct error *e);
/* Starts the guest: stdin and stdout of `argv` are its console. `env` as in proc_options. */
int session_start(struct session *s, const char *const argv[], const char *const env[],
		  const struct guest_request *request, struct error *e);
/* Follows it to its end, or to what the request waits for. */
int session_follow(struct session *s, const struct guest_request *request, struct report *report,
		   struct error *e);
/* Ends what is still there, all of it. */
void session_end(struct session *s);
DEFINE_CLEANUP(session, struct session, session_end)

/* RAM in MiB: what the request says, or what its kernel, initrd or medium need. */
unsigned guest_memory_mib(const struct guest_request *request);
