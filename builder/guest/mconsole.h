/* The management console of User-Mode Linux: stop, go, sysrq, config, remove, halt … from outside. */
#pragma once
#include "guest/console.h"

/* Sends `command` ("sysrq s", "config ubdb=/disk.img") to the guest whose uml_dir is `dirfd` and whose umid is
 * `umid`, and waits at most `seconds` for its answer, while its console is read on. `*ret_answer` is what it
 * says, "" for most commands; the caller frees. What the guest refuses is -EPROTO, with its words. */
int mconsole_send(int dirfd, const char *umid, const char *command, struct console *console, unsigned seconds,
		  char **ret_answer, struct error *e);
