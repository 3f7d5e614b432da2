/* Reading and writing machine.conf, between its parts: what a section's reader gets, and how it reads its keys. */
#pragma once
#include "base/error.h"
#include "conf/ini.h"
#include "machine/model.h"
#include "machine/text.h"

struct conf_parse {
	const struct ini *ini;
	const struct ini_section *section; /* that is being read */
	struct machine *m;
	struct error *e;
};

/* Forms of values, 0 or -EINVAL: a text with \xHH escapes; yes or no; above 0; what off_t holds; an absolute path
 * without . and ..; a part of file names. */
int conf_check_text(const char *value);
int conf_check_yes_no(const char *value);
int conf_check_positive(const char *value);
int conf_check_bytes(const char *value);
int conf_check_path(const char *value);
int conf_check_stream(const char *value);
/* A power of two, as LVM and LUKS want their units to be; groups of characters of a class with `between` them, whose
 * `lengths` end with 0. */
int conf_check_power(const char *value);
int conf_check_groups(const char *value, const unsigned lengths[], char between, int (*is)(int));

/* The value of a key whose form the schema has checked; NULL, 0 or false when it is not there. The caller frees
 * a text. */
char *conf_text(const struct ini_section *s, const char *key);
uint64_t conf_number(const struct ini_section *s, const char *key);
bool conf_yes(const struct ini_section *s, const char *key);
/* The line of a key, or of its section when it is not there. */
unsigned conf_line(const struct ini_section *s, const char *key);

/* Refuses a section without one of the keys (ends with NULL). */
int conf_require(const struct conf_parse *p, const char *const keys[]);
/* The same, and one whose name is bad or names a device that is there already. */
int conf_require_named(const struct conf_parse *p, const char *const keys[]);

/* The parts of a list with commas between them. */
void conf_split(const struct ini_section *s, const char *key, struct strlist *ret);
/* Sets a key to a text, escaped; NULL and "" set none. */
void conf_put(struct ini_section *s, const char *key, const char *value);

/* What a disk or array says of its table, in a list of keys; read into it, and written. */
#define CONF_TABLE_KEYS                                                                               \
	{ "table", "gpt, mbr or none", conf_check_table }, { "table-id", "a text", conf_check_text }, \
		{ "first-usable", "a number of bytes", check_number },                                \
	{                                                                                             \
		"boot-code", "at most 440 bytes in base64", conf_check_boot_code                      \
	}
int conf_check_table(const char *value);
int conf_check_boot_code(const char *value);
int conf_parse_table(const struct conf_parse *p, struct device *d);
void conf_put_table(struct ini_section *s, const struct device *d);

/* The devices that the key names become parts of the layer `d`, with content of this type: they must be there, and be nothing
 * else yet. */
int conf_add_members(const struct conf_parse *p, struct device *d, const char *key, const char *type);
/* Sets a key to a number, but not to 0; to the names of devices, NULL being a missing one. */
void conf_put_number(struct ini_section *s, const char *key, uint64_t value);
void conf_put_names(struct ini_section *s, const char *key, struct device *const *devices, size_t count);

/* The sections, each with its keys: conf_disk.c, conf_layer.c, conf_lvm.c, conf_content.c. */
extern const struct ini_key conf_disk_keys[], conf_partition_keys[];
extern const struct ini_key conf_raid_keys[], conf_crypt_keys[], conf_group_keys[], conf_volume_keys[];
int conf_parse_disk(const struct conf_parse *p);
int conf_parse_partition(const struct conf_parse *p);
int conf_parse_raid(const struct conf_parse *p);
int conf_parse_crypt(const struct conf_parse *p);
int conf_parse_group(const struct conf_parse *p);
int conf_parse_volume(const struct conf_parse *p);
/* The other way round. */
void conf_put_layer(struct ini *ini, const struct device *d);
void conf_put_group(struct ini *ini, const struct device *d);
void conf_put_volume(struct ini *ini, const struct device *d);
/* conf_btrfs.c */
extern const struct ini_key conf_btrfs_keys[];
int conf_parse_btrfs(const struct conf_parse *p);
void conf_put_btrfs(struct ini *ini, const struct device *d);
/* conf_subvolume.c */
extern const struct ini_key conf_subvolume_keys[];
int conf_parse_subvolume(const struct conf_parse *p);
void conf_put_subvolume(struct ini *ini, const struct device *d);
/* What every content has, and what the file systems of that kind add. The caller frees. */
struct ini_key *conf_content_keys(enum content_kind kind);
int conf_parse_content(const struct conf_parse *p);
