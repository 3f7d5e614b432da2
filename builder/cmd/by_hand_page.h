/* Between by_hand.c and the parts of the page, which write shell. */
#pragma once
#include "base/str.h"
#include "machine/layers.h"
#include "machine/model.h"

/* ---- words ---- */
/* One word. */
void page_quote(struct strbuf *b, const char *s);
/* " FLAG VALUE"; nothing when there is no value. */
void page_option(struct strbuf *b, const char *flag, const char *value);
/* Text for a comment: on one line. */
void page_remark(struct strbuf *b, const char *s);
/* A disk's name as a shell variable. The caller frees. */
char *page_variable(const struct device *disk);
/* "$sda" or "${sda_part}1"; a layer has its node by its name. */
void page_node(struct strbuf *b, const struct device *d);
/* The same as a node_of of layers.h: a word that only page_commands() understands. The caller frees. */
char *page_node_word(const void *user, const struct device *d);
void page_commands(struct strbuf *b, const struct commands *all);

/* ---- streams ---- */
/* What is needed to say where the files of a stream come from. */
struct source {
	const struct strlist *files;
	const struct strlist *exclude; /* patterns of what is not there; NULL: none */
	void (*chain)(void *user, const char *stream, struct strlist *ret);
	void *user;
};

/* Is the stream NAME.METHOD of `set` (a prefix of `files`) encrypted? */
bool page_is_sealed(const struct strlist *files, const char *set, const char *name, const char *method);
/* What writes it plain on stdout. */
void page_stream(struct strbuf *b, const struct strlist *files, const char *set, const char *name,
		 const char *method);

/* ---- parts ---- */
void page_disks(struct strbuf *b, const struct machine *m);
void page_tables(struct strbuf *b, const struct machine *m);
/* Arrays, LUKS devices and volume groups, each on what was made before. */
void page_layers(struct strbuf *b, const struct machine *m, const struct strlist *files);
/* What is done to volume groups in the end. */
void page_seal(struct strbuf *b, const struct machine *m);
void page_filesystems(struct strbuf *b, const struct machine *m, const struct source *s);
void page_files(struct strbuf *b, const struct machine *m, const struct source *s);
/* The mounted file systems, each after those above it. The caller frees the array. */
const struct device **page_mounted(const struct machine *m, size_t *ret_count);
/* Where it is mounted meanwhile: a subvolume without a place of its own beside the others. The caller frees. */
char *page_folder(const struct device *d);
