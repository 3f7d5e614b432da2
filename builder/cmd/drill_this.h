/* `machine = this`: this machine as its last backup has it, for drills. */
#pragma once
#include "cmd/cmd.h"
#include "conf/recovery.h"
#include "guest/drill.h"

struct drill_this {
	struct cmd *cmd;
	const struct recovery_conf *conf;
	const char *target, *host; /* NULL: recovery.conf's; the only one there */
	const char *rescue; /* the folder of its rescue image */
	int show_fd; /* consoles are copied here; 0: nowhere */
};

/* Recovered once for each set, and kept until a newer one is. */
int drill_this_machine(const struct drill_this *t, struct drill_machine *ret, struct error *e);
