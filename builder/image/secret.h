/* Files with secrets that go into an image. */
#pragma once
#include "base/error.h"
#include "base/str.h"

/* Reads a file of this machine. Refused when others could read it: -EPERM, with what to do. `what` is for messages:
 * "credentials". */
int secret_read(const char *what, const char *path, struct strbuf *ret, struct error *e);
