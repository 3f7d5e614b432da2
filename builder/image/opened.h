/* Libraries that are opened while a program runs, as its own notes say (dlopen_note.h). */
#pragma once
#include "image/tools.h"

/* Adds what the object's notes call required or recommended. What is required and nowhere is an error; what is
 * recommended and nowhere, the machine does without too; what is suggested stays out: it is for
 * full-featured installations, and a profile can name it. */
int opened_add(struct tools *t, const struct object *o, struct error *e);
