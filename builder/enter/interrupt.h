/* A signal that is to end this program while something is active that has to be stopped first. */
#pragma once
#include "base/error.h"

#include <stdbool.h>

/* From here on the first SIGINT, SIGTERM, SIGHUP or SIGQUIT is only noted; the second one of a kind ends us. */
void interrupt_note(void);
bool interrupted(void);
/* -EINTR, when one came. */
int interrupt_check(struct error *e);
