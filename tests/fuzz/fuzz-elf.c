/* ELF files: whatever the bytes, reading ends with an answer or one line of error, in bounded memory. The
 * corpus was made by the C compiler out of empty files (-nostdlib -s, with the linker's smallest pages). */
#include "base/fs.h"
#include "image/dlopen_note.h"
#include "image/elf.h"

#include <stdint.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(fd) int fd = memfd_create("fuzz", MFD_CLOEXEC);
	_cleanup_(elf_info) struct elf_info info = { 0 };
	_cleanup_(dlopen_notes) struct dlopen_notes notes = { 0 };
	struct error e = { 0 };

	if (fd < 0 || write_all(fd, data, size) < 0)
		abort();
	int r = elf_read(fd, "fuzz", &info, &e);

	if (r < 0 && (!str_after(e.text, "read fuzz: ") || strchr(e.text, '\n')))
		abort(); /* no line that says what was read */
	for (size_t i = 0; i < info.dlopen_notes.count; i++)
		(void)dlopen_notes_parse(info.dlopen_notes.items[i], &notes); /* either answer is one */
	return 0;
}
