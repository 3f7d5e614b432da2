/* What the parts of a record's code share. */
#pragma once
#include "guest/proof.h"

#define PROOF_FORMAT 1 /* raised when a reader of the older one would misunderstand it */

/* As they stand in the file. */
extern const char *const proof_verdict_names[PROOF_PROVEN + 1];
extern const char *const proof_kind_names[PROOF_KIND_COUNT];
extern const char *const proof_outcome_names[PROOF_OUTCOME_COUNT];

/* All that was compared. */
uint64_t proof_compared(const struct proof *p, enum proof_kind kind);

/* Appends what the record itself says against being proven. `whole`: also that something is missing. */
void proof_judge(const struct proof *p, bool whole, struct strlist *reasons);

/* The page's CSS. */
extern const char proof_style[];
