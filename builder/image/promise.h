/* Promises: what profiles say that their image can do, looked at once more in the finished tree. */
#pragma once
#include "conf/profile.h"
#include "image/view.h"

/* Every need of every promise. The first that is not met is the error: the profile's line, what is missing in the
 * tree, and what to do about it. `modules`: whether there are any to look at; without them needs of that kind
 * are passed over and the promise is not among those kept. Kept promises are added to `kept`, each once. */
int promises_check(const struct profiles *profiles, struct view *view, bool modules, struct strlist *kept,
		   struct error *e);
