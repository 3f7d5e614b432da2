/* What LVM's programs report (lvmreport(7)): rows, which are objects with strings; sizes are in bytes. */
#pragma once
#include "machine/layer_kinds.h"

#include <jansson.h>

struct lvm {
	json_t *groups, *devices,
		*volumes; /* arrays of rows; of volumes also hidden ones, a row for each segment in order */
};

/* A field as text; "" when it is not there. It is the row's. */
const char *lvm_field(const json_t *row, const char *name);
/* 0 when it is no number. */
uint64_t lvm_number(const json_t *row, const char *name);
/* The first row whose field has that value; NULL when there is none. */
const json_t *lvm_find_row(const json_t *rows, const char *name, const char *value);
