/* A person and a broken machine: the exercise, hints, the console, and a judge. */
#pragma once
#include "cmd/cmd.h"
#include "guest/drill.h"

/* The machine of `run` is broken. Returns the exit code: 0 when it was cured. */
int practise_drill(struct cmd *c, const struct drill *drill, struct drill_run *run);
