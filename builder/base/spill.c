#include "base/spill.h"

#include "base/fs.h"
#include "base/str.h"
#include "base/unreadable.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <unistd.h>

enum {
	part = 32 << 20, /* bytes that are mapped at a time */
	in_memory = part, /* so many stay there */
};
/* Addresses are taken for all that may come, so that nothing ever moves: 16 GiB, or 256 MiB where addresses have 32 bits; less
 * where not so many are allowed (RLIMIT_AS). */
static const size_t room_max = (size_t)1 << (sizeof(size_t) > 4 ? 34 : 28);
static const uint64_t left_free = UINT64_C(1) << 30; /* bytes of the disk */

/* A write to a mapped page for which a disk has no room is SIGBUS: it is allocated before. */
static bool is_good_place(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && fs.f_type != TMPFS_MAGIC && fs.f_type != RAMFS_MAGIC &&
	       fs.f_type != NFS_SUPER_MAGIC &&
	       (uint64_t)fs.f_bavail * (uint64_t)fs.f_frsize > left_free + part;
}

/* The part of the file is where it is in memory. */
static bool map_file(struct spill *s, char *at)
{
	if (!s->has_file) {
		s->file = open(temp_folder(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
		s->has_file = s->file >= 0;
		if (s->has_file)
			unreadable_note(s->data, s->room);
	}
	return s->has_file && is_good_place(s->file) &&
	       posix_fallocate(s->file, (off_t)s->mapped, part) == 0 &&
	       mmap(at, part, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, s->file, (off_t)s->mapped) ==
		       at;
}

static bool map_memory(char *at)
{
	return mmap(at, part, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == at;
}

static bool take_room(struct spill *s)
{
	for (s->room = room_max; s->room >= part; s->room /= 2) {
		void *data =
			mmap(NULL, s->room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

		if (data == MAP_FAILED)
			continue;
		s->data = data;
		return true;
	}
	return false;
}

static bool map_part(struct spill *s)
{
	if (!s->data && !take_room(s))
		return false;
	char *at = (char *)s->data + s->mapped;

	if (s->mapped == s->room || !((s->mapped >= in_memory && map_file(s, at)) || map_memory(at)))
		return false;
	s->mapped += part;
	return true;
}

void *spill_more(struct spill *s, size_t len)
{
	while (s->mapped - s->used < len)
		if (!map_part(s))
			out_of_memory();
	char *at = (char *)s->data + s->used;

	s->used += len;
	return at;
}

char *spill_put(struct spill *s, const void *data, size_t len)
{
	return memcpy(spill_more(s, len), data, len);
}

int spill_check(const struct spill *s, struct error *e)
{
	/* writes nothing, and tells of each failure to write since the file was opened: sync_file_range(2) */
	if (s->has_file && sync_file_range(s->file, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE) < 0)
		return error_errno(e, errno, "keep in %s what is known of the files", temp_folder());
	return 0;
}

void spill_free(struct spill *s)
{
	if (s->has_file) {
		unreadable_forget(s->data);
		(void)close(s->file); /* what is in it is wanted no more */
	}
	if (s->data)
		(void)munmap(s->data, s->room); /* ours, whole */
	*s = (struct spill) { 0 };
}
