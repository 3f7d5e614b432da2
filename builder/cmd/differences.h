/* What is no longer as it was recorded, one line for a person each. */
#pragma once
#include "base/error.h"
#include "base/str.h"

/* Of two texts of image_manifest(). `skip`: paths that begin so are left out (NULL: none). Drivers that would not be
 * taken any more are no difference: the stick has more than it needs then. */
void differences_of_files(const char *then, const char *now, const char *skip, struct strlist *ret);

/* Of two texts of machine.conf: all that machine_conf_parse() reads but figures that change by themselves, such as
 * what is used of a file system, and the kernel. */
int differences_of_machines(const char *then, const char *now, struct strlist *ret, struct error *e);
