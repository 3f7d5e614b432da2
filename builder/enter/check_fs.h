/* File systems are checked before they are mounted for writing, with their own tools. */
#pragma once
#include "base/report.h"

enum check_answers {
	CHECK_SAFE, /* only what every boot repairs by itself; more is an error */
	CHECK_ASK, /* the person is asked at the terminal */
	CHECK_YES, /* every question is answered with yes */
};

/* Types without such a tool, or whose mount does it (xfs, btrfs), are fine as they are. */
int check_fs(const char *node, const char *type, enum check_answers answers, struct report *report,
	     struct error *e);
