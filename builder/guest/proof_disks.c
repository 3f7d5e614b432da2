/* Blank disks like the machine's, and whether there is room for all of it. */
#include "guest/proof_run.h"

#include "base/fs.h"
#include "guest/guest.h"
#include "guest/qmp.h"
#include "guest/session.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

int proof_run_begin(struct proof_run *run, const struct proof_wanted *wanted, struct proof *proof,
		    struct report *report, struct error *e)
{
	*run = (struct proof_run) { .wanted = wanted,
				    .proof = proof,
				    .report = report,
				    .temp = TEMPDIR_NONE,
				    .keeper = KEEPER_NONE };
	int r = tempdir_make(&run->temp, e);

	return r < 0 ? r : keeper_start(run->temp.path, &run->keeper, e);
}

void proof_run_end(struct proof_run *run)
{
	tempdir_remove(&run->temp);
	keeper_dismiss(&run->keeper);
	strlist_free(&run->serials);
	strlist_free(&run->failed);
	free(run->frozen);
}

/* ---- resources ---- */

static uint64_t available_memory(void)
{
	_cleanup_(free) char *text = NULL;
	struct error ignored; /* unknown is enough, then */
	unsigned long long kib = 0;

	if (read_file_at(AT_FDCWD, "/proc/meminfo", 65536, &text, NULL, &ignored) < 0)
		return UINT64_MAX;
	const char *line = strstr(text, "MemAvailable:");

	return line && sscanf(line, "MemAvailable: %llu kB", &kib) == 1 ? (uint64_t)kib << 10 : UINT64_MAX;
}

int proof_check_resources(struct proof_run *run, const struct proof_disk_wanted *disks, size_t disk_count,
			  uint64_t set_bytes, uint64_t medium_bytes, struct error *e)
{
	const struct guest_request request = { .medium = run->wanted->medium,
					       .memory_mib = run->wanted->memory_mib };
	uint64_t first = (uint64_t)guest_memory_mib(&request) << 20, need = set_bytes + medium_bytes / 16;
	uint64_t second = (uint64_t)proof_machine_mib(run->wanted) << 20,
		 memory = first > second ? first : second;
	char want[SIZE_TEXT_MAX], have[SIZE_TEXT_MAX];
	uint64_t available = available_memory();
	struct statvfs fs;

	for (size_t i = 0; i < disk_count; i++)
		need += disks[i].used + disks[i].used / 8 +
			(64 << 20); /* with the second guest's own writing */
	run->beside = !run->wanted->in_turn && available >= first + second;
	if (run->beside)
		memory = first + second;
	else if (!run->wanted->in_turn)
		report_info(run->report,
			    "there is no memory for two guests at once: one comes after the other");
	run->proof->planned.memory = memory;
	run->proof->planned.disk = need;
	run->proof->planned.processors = 2;
	if (statvfs(run->temp.path, &fs) < 0)
		return error_errno(e, errno, "look at the room in %s", run->temp.path);
	uint64_t room = (uint64_t)fs.f_bavail * fs.f_frsize;

	if (room < need)
		return error_text(e, ENOSPC,
				  "the proof needs about %s in %s, which has %s: TMPDIR names another folder",
				  format_size(need, want), run->temp.path, format_size(room, have));
	if (available < memory)
		return error_text(e, ENOMEM,
				  "the proof's guest needs %s of memory, and %s are available (--memory)",
				  format_size(memory, want), format_size(available, have));
	return 0;
}

/* What the files in the temporary folder really take. */
static uint64_t taken(const struct proof_run *run)
{
	_cleanup_(fd) int fd = openat(run->temp.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	uint64_t bytes = 0;

	if (!d)
		return 0;
	(void)TAKE_FD(fd); /* closedir() closes it */
	for (const struct dirent *entry; (entry = readdir(d));) {
		struct stat st;

		if (fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
			bytes += (uint64_t)st.st_blocks * 512; /* stat(2): of that unit */
	}
	(void)closedir(d); /* read side */
	return bytes;
}

void proof_note_used(struct proof_run *run)
{
	struct proof_resources *used = &run->proof->used;
	uint64_t bytes = taken(run), memory;
	struct rusage children; /* the largest of them was a guest */

	used->processors = run->proof->planned.processors;
	used->disk = bytes > used->disk ? bytes : used->disk;
	if (getrusage(RUSAGE_CHILDREN, &children) < 0)
		return; /* not known, then */
	memory = (uint64_t)children.ru_maxrss << 10;
	used->memory = memory > used->memory ? memory : used->memory;
}

/* ---- disks ---- */

int proof_make_disks(struct proof_run *run, struct error *e)
{
	for (size_t i = 0; i < run->wanted->disk_count; i++) {
		const struct proof_disk_wanted *d = &run->wanted->disks[i];
		_cleanup_(free) char *name = xasprintf("disk%zu.img", i);
		_cleanup_(fd) int fd =
			openat(run->temp.fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

		if (fd < 0 || ftruncate(fd, (off_t)d->bytes) < 0)
			return error_errno(e, errno, "make the blank disk %s/%s", run->temp.path, name);
		strlist_addf(&run->serials, "PROOF%u-%zu", (unsigned)getpid(), i + 1);
		proof_add_disk(run->proof, d->name, d->bytes, d->sector_size, d->serial,
			       run->serials.items[i]);
	}
	return 0;
}

/* Of a disk's file. */
static int last_written(const struct proof_run *run, size_t i, struct timespec *ret, struct error *e)
{
	_cleanup_(free) char *name = xasprintf("disk%zu.img", i);
	struct stat st;

	if (fstatat(run->temp.fd, name, &st, 0) < 0)
		return error_errno(e, errno, "look at %s/%s", run->temp.path, name);
	*ret = st.st_mtim;
	return 0;
}

int proof_freeze_disks(struct proof_run *run, const struct guest_live *guest, struct error *e)
{
	size_t count = run->wanted->disk_count;
	int r = 0;

	run->frozen = xcalloc(count + 1, sizeof(*run->frozen));
	for (size_t i = 0; i < count && r == 0; i++) {
		_cleanup_(free) char *overlay = xasprintf("%s/disk%zu.compare", run->temp.path, i);

		r = qmp_divert(guest->monitor, i, overlay, e);
		if (r == 0)
			r = last_written(run, i, &run->frozen[i], e);
	}
	return r;
}

void proof_check_frozen(struct proof_run *run)
{
	for (size_t i = 0; run->frozen && i < run->wanted->disk_count; i++) {
		struct timespec now;
		struct error why;

		if (last_written(run, i, &now, &why) < 0)
			proof_add_reason(run->proof, "%s", why.text);
		else if (now.tv_sec != run->frozen[i].tv_sec || now.tv_nsec != run->frozen[i].tv_nsec)
			proof_add_reason(
				run->proof,
				"the disk %s was written to after it was recovered: what was compared "
				"need not be what was started",
				run->wanted->disks[i].name);
	}
}

char *proof_variables(const struct proof_run *run, bool second)
{
	return xasprintf("%s/variables%s", run->temp.path, second ? ".boot" : "");
}

/* The bus that the machine's own disk is on, as far as the guest has it for such sectors. */
static const char *bus_of(const struct proof_disk_wanted *d)
{
	static const char *const same[] = { "sata", "nvme", "usb", "virtio" };

	for (size_t i = 0; d->bus && i < sizeof(same) / sizeof(*same); i++)
		if (streq(d->bus, same[i]) && (i > 0 || d->sector_size == 512))
			return same[i];
	return "virtio";
}

char *proof_disk_option(const struct proof_run *run, size_t i, bool writable)
{
	const struct proof_disk_wanted *d = &run->wanted->disks[i];

	return xasprintf("%s/disk%zu.img,if=%s,serial=%s,sector=%u%s", run->temp.path, i, bus_of(d),
			 run->serials.items[i], d->sector_size, writable ? ",rw" : "");
}

/* ---- the screen ---- */

void proof_screenshot(struct proof_run *run, const struct guest_live *guest, const char *caption)
{
	_cleanup_(free) char *path = xasprintf("%s/screen-%u.png", run->wanted->logs, ++run->screenshots);
	struct error why;

	if (qmp_screenshot(guest->monitor, path, &why) < 0 ||
	    proof_add_screenshot(run->proof, proof_now(run->proof), path, caption, &why) < 0)
		report_debug(run->report, "no screenshot of '%s': %s", caption, why.text);
}

/* The memory of VGA's colour text modes: at 0xb8000 80 by 25 cells, each a character and its attribute (IBM VGA). */
char *proof_screen_text(struct proof_run *run, const struct guest_live *guest)
{
	enum { columns = 80, lines = 25 };
	_cleanup_(free) char *path = xasprintf("%s/screen.bin", run->temp.path);
	_cleanup_(strbuf) struct strbuf text = { 0 };
	_cleanup_(free) char *cells = NULL;
	struct error ignored; /* then nothing is known of the screen */
	size_t len;

	strbuf_puts(&text, "");
	if (qmp_memory(guest->monitor, 0xb8000, columns * lines * 2, path, &ignored) < 0 ||
	    read_file_at(AT_FDCWD, path, columns * lines * 2, &cells, &len, &ignored) < 0 ||
	    len != columns * lines * 2)
		return TAKE_PTR(text.data);
	for (size_t i = 0; i < columns * lines; i++) {
		const char c = cells[2 * i];

		strbuf_add(&text, c >= ' ' && c <= '~' ? &c : " ", 1);
		if (i % columns == columns - 1)
			strbuf_puts(&text, "\n");
	}
	return TAKE_PTR(text.data);
}
