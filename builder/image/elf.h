/* What the dynamic loader would read in a program or library, read through libelf and never by
 * running anything. On-disk format: elf(5), and the System V gABI's chapter on dynamic linking. */
#pragma once
#include "base/error.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct elf_info {
	int class; /* ELFCLASS32 or ELFCLASS64 */
	int data; /* ELFDATA2LSB or ELFDATA2MSB */
	uint16_t type; /* ET_… ; what follows is read of ET_EXEC and ET_DYN only */
	uint16_t machine; /* EM_… */
	uint32_t flags; /* the machine's e_flags */
	bool dynamic; /* it has a dynamic section */
	bool nodeflib; /* DF_1_NODEFLIB: the default folders are not for its libraries */
	char *interpreter; /* NULL: none */
	char *soname; /* NULL: none */
	char *rpath, *runpath; /* colon-separated as they stand there; NULL: none */
	struct strlist needed; /* DT_NEEDED and DT_FILTER */
	struct strlist auxiliary; /* DT_AUXILIARY: loaded where they exist */
	struct strlist dlopen_notes; /* JSON texts: dlopen_note.h */
};
void elf_info_free(struct elf_info *info);
DEFINE_CLEANUP(elf_info, struct elf_info, elf_info_free)

/* Reads the ELF file behind `fd`. Returns 1 and fills `*ret`; 0 when it is no ELF file; a negative
 * errno when it is a broken one (truncated: -ENODATA). `shown` names it in errors. */
int elf_read(int fd, const char *shown, struct elf_info *ret, struct error *e);
