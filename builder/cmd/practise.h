/* A person and a broken machine: the exercise, hints, the console, and a judge. */
#pragma once
#include "cmd/cmd.h"
#include "guest/drill.h"

/* The machine of `run` is broken. `about`: what a person has to know of it, or NULL. Returns the exit code: 0 when it was
 * cured. */
int practise_drill(struct cmd *c, const struct drill *drill, const char *about, struct drill_run *run);
