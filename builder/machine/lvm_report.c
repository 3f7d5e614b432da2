/* What LVM says of itself, by lvmreport(7). */
#include "machine/lvm_report.h"

#include "base/str.h"

void lvm_free(struct lvm *l)
{
	if (!l)
		return;
	json_decref(l->groups);
	json_decref(l->devices);
	json_decref(l->volumes);
	free(l);
}

const char *lvm_field(const json_t *row, const char *name)
{
	const char *value = json_string_value(json_object_get(row, name));

	return value ? value : "";
}

uint64_t lvm_number(const json_t *row, const char *name)
{
	uint64_t v;

	return parse_u64(lvm_field(row, name), &v) == 0 ? v : 0;
}

/* {"report":[{"vg":[{…}, …]}]} → the inner array. `hidden`: of volumes also those that others are made of, and all their
 * segments in order; thin volumes in the order of their numbers, which they get again when they are made so. */
static int all_rows(const char *program, const char *kind, bool hidden, const char *fields, json_t **ret,
		    struct error *e)
{
	const char *const argv[] = { "lvm",
				     program,
				     "--config",
				     LVM_TRACELESS,
				     "--reportformat",
				     "json",
				     "--units",
				     "b",
				     "--nosuffix",
				     "--options",
				     fields,
				     hidden ? "--all" : NULL, /* else it ends here */
				     "--sort",
				     "vg_name,thin_id,lv_name,seg_start",
				     NULL };
	const struct proc_options o = { .env = layer_env() };
	_cleanup_(free) char *text = NULL;
	int r = proc_capture(argv, &o, &text, e);

	if (r < 0)
		return r;
	json_t *all = json_loads(text, 0, NULL);
	json_t *rows = json_object_get(json_array_get(json_object_get(all, "report"), 0), kind);

	if (!json_is_array(rows)) {
		json_decref(all);
		return error_text(e, EPROTO, "lvm %s: its report has no '%s'", program, kind);
	}
	*ret = json_incref(rows);
	json_decref(all);
	return 0;
}

int lvm_rows(const char *program, const char *kind, const char *fields, json_t **ret, struct error *e)
{
	return all_rows(program, kind, false, fields, ret, e);
}

int lvm_load(struct lvm **ret, struct error *e)
{
	_cleanup_(lvm) struct lvm *l = xcalloc(1, sizeof(*l));
	int r = lvm_rows("vgs", "vg",
			 "vg_name,vg_uuid,vg_extent_size,vg_missing_pv_count,vg_exported,vg_tags,"
			 "vg_allocation_policy",
			 &l->groups, e);

	if (r == 0)
		r = lvm_rows("pvs", "pv", "pv_name,pv_uuid,pe_start,vg_name", &l->devices, e);
	if (r == 0)
		r = all_rows("lvs", "lv", true,
			     "vg_name,lv_name,lv_uuid,lv_size,segtype,data_stripes,data_copies,stripe_"
			     "size,chunk_size,"
			     "lv_metadata_size,pool_lv,origin,lv_role,lv_layout,lv_tags,lv_active,seg_size,"
			     "devices,lv_permissions,lv_allocation_policy,region_size,discards,zero,"
			     "lv_when_full,lv_skip_activation",
			     &l->volumes, e);
	if (r == 0)
		*ret = TAKE_PTR(l);
	return r;
}

const json_t *lvm_find_row(const json_t *rows, const char *name, const char *value)
{
	for (size_t i = 0; i < json_array_size(rows); i++)
		if (streq(lvm_field(json_array_get(rows, i), name), value))
			return json_array_get(rows, i);
	return NULL;
}
