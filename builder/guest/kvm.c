#include "guest/guest.h"

#include "base/fs.h"
#include "base/proc.h"

#include <fcntl.h>
#include <unistd.h>

static const unsigned probe_seconds = 3; /* real KVM needs a third of a second */

/* A boot sector that does what a kernel does first: it maps its memory, enters 64-bit mode, runs
 * twenty million rounds of a loop there, and ends qemu through isa-debug-exit at port 0xf4. On
 * some hosts guests reach real mode and then hang, or crawl because each instruction of theirs is
 * emulated: they do not get through the loop in time.
 *
 *	   cli; xor %ax,%ax; mov %ax,%ds; mov %ax,%es; mov %ax,%ss; mov $0x7c00,%sp
 *	   mov $0x1000,%di; mov $0x1800,%cx; cld; rep stosw	 # tables: PML4, PDPT, PD
 *	   movw $0x2003,0x1000; movw $0x3003,0x2000; movw $0x83,0x3000  # first 2 MiB as they are
 *	   mov $0x1000,%eax; mov %eax,%cr3
 *	   mov %cr4,%eax; or $0x20,%al; mov %eax,%cr4		 # PAE
 *	   mov $0xc0000080,%ecx; rdmsr; or $0x100,%ax; wrmsr	 # EFER.LME
 *	   mov %cr0,%eax; or $0x80000001,%eax; mov %eax,%cr0	 # PG, PE
 *	   lgdt gdtr; ljmp $8,$1f
 *	1: mov $20000000,%ecx; mov $0x100000,%edi
 *	2: mov %ecx,(%rdi); add (%rdi),%eax; dec %ecx; jnz 2b
 *	   mov $0xf4,%dx; mov $13,%al; out %al,%dx		 # exit status 13 * 2 + 1
 *	3: hlt; jmp 3b
 *	   .align 8; gdt: .quad 0, 0x00af9a000000ffff; gdtr: .word 15; .long gdt
 */
static const unsigned char probe_code[] = {
	0xfa, 0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0, 0xbc, 0x00, 0x7c, 0xbf, 0x00, 0x10, 0xb9,
	0x00, 0x18, 0xfc, 0xf3, 0xab, 0xc7, 0x06, 0x00, 0x10, 0x03, 0x20, 0xc7, 0x06, 0x00, 0x20, 0x03,
	0x30, 0xc7, 0x06, 0x00, 0x30, 0x83, 0x00, 0x66, 0xb8, 0x00, 0x10, 0x00, 0x00, 0x0f, 0x22, 0xd8,
	0x0f, 0x20, 0xe0, 0x0c, 0x20, 0x0f, 0x22, 0xe0, 0x66, 0xb9, 0x80, 0x00, 0x00, 0xc0, 0x0f, 0x32,
	0x0d, 0x00, 0x01, 0x0f, 0x30, 0x0f, 0x20, 0xc0, 0x66, 0x0d, 0x01, 0x00, 0x00, 0x80, 0x0f, 0x22,
	0xc0, 0x0f, 0x01, 0x16, 0x88, 0x7c, 0xea, 0x5b, 0x7c, 0x08, 0x00, 0xb9, 0x00, 0x2d, 0x31, 0x01,
	0xbf, 0x00, 0x00, 0x10, 0x00, 0x89, 0x0f, 0x03, 0x07, 0xff, 0xc9, 0x75, 0xf8, 0x66, 0xba, 0xf4,
	0x00, 0xb0, 0x0d, 0xee, 0xf4, 0xeb, 0xfd, 0x90, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0xff, 0xff, 0x00, 0x00, 0x00, 0x9a, 0xaf, 0x00, 0x0f, 0x00, 0x78, 0x7c, 0x00, 0x00,
};
enum { PROBE_EXIT_STATUS = 27 };

static int write_probe(const struct tempdir *temp, struct error *e)
{
	unsigned char sector[512] = { [510] = 0x55, [511] = 0xaa };

	memcpy(sector, probe_code, sizeof(probe_code));
	return write_file_at(temp->fd, "probe", 0600, sector, sizeof(sector), e);
}

static int run_probe(const char *accel, struct error *e)
{
	_cleanup_(tempdir) struct tempdir temp = TEMPDIR_NONE;
	_cleanup_(strlist) struct strlist args = { 0 };
	_cleanup_(proc) struct proc p = PROC_NONE;
	/* 0 is accepted by proc.h too, but nothing here ends qemu that way: a fault resets the guest,
	 * which then tries again until its time is over */
	const struct proc_options o = { .accept = 1U << PROBE_EXIT_STATUS };
	int r = tempdir_make(&temp, e);

	if (r == 0)
		r = write_probe(&temp, e);
	if (r < 0)
		return r;
	strlist_add_words(&args, "qemu-system-x86_64 -machine pc -nodefaults -no-user-config -display none "
				 "-m 32 -device isa-debug-exit,iobase=0xf4,iosize=1 -accel");
	strlist_add(&args, accel);
	strlist_add(&args, "-drive");
	strlist_addf(&args, "if=ide,format=raw,readonly=off,file=%s/probe", temp.path);
	r = proc_spawn((const char *const *)args.items, &o, &p, e);
	if (r < 0)
		return r;
	free(p.command); /* the whole of it would say less */
	p.command = xstrdup("the probe");
	return proc_wait_within(&p, probe_seconds, e);
}

static bool try_kvm(struct report *report)
{
	struct error e;

	if (access("/dev/kvm", R_OK | W_OK) < 0) {
		report_debug(report, "no access to /dev/kvm: the guest is emulated");
		return false;
	}
	if (run_probe("kvm", &e) < 0) {
		report_debug(report, "KVM does not run guests here (%s): the guest is emulated", e.text);
		return false;
	}
	return true;
}

bool qemu_kvm_works(struct report *report)
{
	static enum { UNKNOWN, NO, YES } known; /* this machine stays what it is while the program runs */

	if (known == UNKNOWN)
		known = try_kvm(report) ? YES : NO;
	return known == YES;
}
