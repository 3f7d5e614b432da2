/* The one clean-up idiom: a variable that frees itself when it leaves its block.
 * Destructors take a pointer to the variable, accept NULL and half-built objects. */
#pragma once
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((cleanup(cleanup_##f)))

/* Hands a pointer (or a descriptor) to a new owner and forgets it here. */
#define TAKE_PTR(p)                         \
	({                                  \
		__typeof__(p) taken_ = (p); \
		(p) = NULL;                 \
		taken_;                     \
	})
#define TAKE_FD(fd)                \
	({                         \
		int taken_ = (fd); \
		(fd) = -1;         \
		taken_;            \
	})

/* Makes `_cleanup_(name)` call `function(&variable)`. */
#define DEFINE_CLEANUP(name, type, function)       \
	static inline void cleanup_##name(type *p) \
	{                                          \
		function(p);                       \
	}

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_fd(const int *fd)
{
	if (*fd >= 0)
		(void)close(*fd); /* read side or already failed: writers close by hand and look */
}

static inline void cleanup_file(FILE **f)
{
	if (*f)
		(void)fclose(*f); /* as above */
}
