/* The qemu command line that a request means. */
#pragma once
#include "guest/disk.h"
#include "guest/guest.h"

struct qemu_setup {
	const char *accel; /* "tcg" or "kvm" */
	const char *ovmf_code,
		*ovmf_vars; /* UEFI: the firmware, and a private copy of its variables; or NULL */
	unsigned memory_mib;
	const char *monitor; /* path of the socket of its monitor; NULL: none */
};

/* argv of a guest whose console is stdin and stdout. Fails only for what no qemu could do, such as
 * a seventh SATA disk. */
int qemu_args(const struct guest_request *request, const struct guest_disks *disks,
	      const struct qemu_setup *setup, struct strlist *ret, struct error *e);
