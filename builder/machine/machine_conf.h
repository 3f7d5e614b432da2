/* machine.conf: the model as text that a person can read and edit (conf/ini.h's grammar). */
#pragma once
#include "machine/model.h"
#include "base/error.h"

/* Parses and checks everything: unknown keys, overlapping partitions, sizes, missing parents. */
int machine_conf_parse(const char *file, const char *text, struct machine *ret, struct error *e);
int machine_conf_format(const struct machine *m, struct strbuf *ret, struct error *e);
