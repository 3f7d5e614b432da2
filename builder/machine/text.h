/* Names in machine.conf. */
#pragma once
#include "machine/model.h"

/* Labels and names may hold what the grammar cannot: control characters, '#', '\' and outer blanks are
 * written as \xHH. The caller frees. text_unescape: 0 or -EINVAL. */
char *text_escape(const char *s);
int text_unescape(const char *s, char **ret);

/* mbr, gpt, none. */
const char *table_kind_name(enum table_kind kind);
