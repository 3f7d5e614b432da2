/* Mapped files that a disk does not give back: SIGBUS where they are used (mmap(2)), which would end the program without a
 * word. */
#pragma once
#include <stddef.h>

/* Of these addresses such a failure is told in one line, "read back from $TMPDIR what is known of the files", and ends the
 * program with exit code 1; what is noted in base/leftover.h is removed. Elsewhere SIGBUS ends it as ever. */
void unreadable_note(const void *from, size_t len);
/* Before they are unmapped. What was not noted is fine. */
void unreadable_forget(const void *from);
