/* Images and media in a virtual machine on this terminal. */
#pragma once
#include "base/error.h"
#include "base/report.h"
#include "base/str.h"

#include <stdbool.h>

struct guest_request {
	const char *medium; /* a stick file or ISO to boot from; NULL: kernel + initrd */
	bool medium_is_cd;
	const char *kernel, *initrd, *append; /* direct boot; NULL when a medium boots */
	bool uefi; /* qemu: OVMF instead of SeaBIOS */
	struct strlist disks; /* "FILE[,if=virtio|sata|nvme|usb][,serial=S][,rw]": snapshot but for rw */
	unsigned memory_mib; /* 0: a default that fits */
	const char *until; /* end when this text appears on the console; NULL: run until it powers off */
	unsigned timeout; /* seconds for `until`; 0: 300 */
	const char *log; /* the whole console goes here too; NULL: no log */
	bool interactive; /* the terminal is the guest's console */
	bool network; /* user network: host's loopback is 10.0.2.2 */
};

/* True only when a short probe guest really ran under KVM (an existing /dev/kvm proves nothing). */
bool qemu_kvm_works(struct report *report);

/* Both return 0 when the guest ended well (or `until` was seen), and never write to the medium, nor
 * to a disk without `rw`. */
int qemu_run(const struct guest_request *request, struct report *report, struct error *e);
int uml_run(const struct guest_request *request, struct report *report, struct error *e);
