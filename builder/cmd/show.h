/* Machines and plans as text for people and as JSON, on stdout. */
#pragma once
#include "cmd/cmd.h"
#include "machine/plan.h"

/* Both return the command's exit code. */
int show_machine_json(struct cmd *c, const struct machine *m);
int show_plan_json(struct cmd *c, const struct plan *p);
/* The plan, on `to`: disks, what takes whose place and why, the steps. */
void show_plan(const struct plan *p, FILE *to);
