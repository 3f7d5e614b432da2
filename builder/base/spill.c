#include "base/spill.h"

#include "base/fs.h"
#include "base/str.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
	part = 32 << 20, /* bytes that are mapped at a time */
	in_memory = part, /* so many stay there */
};
/* Addresses are taken for all that may come, so that nothing ever moves: 16 GiB, or 256 MiB where addresses have 32 bits. */
static const size_t room = (size_t)1 << (sizeof(size_t) > 4 ? 34 : 28);
static const uint64_t left_free = UINT64_C(1) << 30; /* bytes of the disk */

/* A write to a mapped page for which a disk has no room is SIGBUS: it is allocated before. */
static bool is_good_place(int fd)
{
	struct statfs fs;
	struct statvfs v;

	if (fstatfs(fd, &fs) < 0 || fstatvfs(fd, &v) < 0)
		return false;
	return fs.f_type != TMPFS_MAGIC && fs.f_type != RAMFS_MAGIC && fs.f_type != NFS_SUPER_MAGIC &&
	       (uint64_t)v.f_bavail * v.f_frsize > left_free + part;
}

static bool map_file(char *at)
{
	_cleanup_(fd) int fd = open(temp_folder(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	return fd >= 0 && is_good_place(fd) && posix_fallocate(fd, 0, part) == 0 &&
	       mmap(at, part, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == at;
}

static bool map_memory(char *at)
{
	return mmap(at, part, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == at;
}

static bool map_part(struct spill *s)
{
	if (!s->data) {
		void *data = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

		if (data == MAP_FAILED)
			return false;
		s->data = data;
	}
	char *at = s->data + s->mapped;

	if (s->mapped == room || !((s->mapped >= in_memory && map_file(at)) || map_memory(at)))
		return false;
	s->mapped += part;
	return true;
}

void *spill_more(struct spill *s, size_t len)
{
	while (s->mapped - s->used < len)
		if (!map_part(s))
			out_of_memory();
	char *at = s->data + s->used;

	s->used += len;
	return at;
}

char *spill_put(struct spill *s, const void *data, size_t len)
{
	return memcpy(spill_more(s, len), data, len);
}

void spill_free(struct spill *s)
{
	if (s->data)
		(void)munmap(s->data, room); /* ours, whole */
	*s = (struct spill) { 0 };
}
