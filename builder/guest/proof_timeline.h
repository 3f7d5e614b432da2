/* The phases of a proof against time, as SVG for its page: a bar each, a line for every event, a mark for every screenshot. */
#pragma once
#include "guest/proof.h"

void proof_timeline(struct strbuf *b, const struct proof *p);
