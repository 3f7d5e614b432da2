/* The ordered steps that follow from a machine and its mapping. */
#pragma once
#include "machine/plan.h"

/* Fills p->steps from p->machine and p->mappings. */
int steps_make(struct plan *p, struct error *e);
