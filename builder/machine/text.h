/* Names and values in machine.conf. */
#pragma once
#include "machine/model.h"

/* Labels and names may hold what the grammar cannot: control characters, '#', '\' and outer blanks are
 * written as \xHH. The caller frees. text_unescape: 0 or -EINVAL. */
char *text_escape(const char *s);
int text_unescape(const char *s, char **ret);

/* Checks of values, 0 or -EINVAL: 8-4-4-4-12 hexadecimal digits; a decimal number; words, each of which is known. */
int check_uuid(const char *value);
int check_number(const char *value);
int check_each_word(const char *value, bool (*is_known)(const char *word));

/* mbr, gpt, none. */
const char *table_kind_name(enum table_kind kind);
