/* The door of this room: images and media in a virtual machine on this terminal. */
#pragma once
#include "base/error.h"
#include "base/report.h"
#include "base/str.h"

#include <stdbool.h>

struct console;
struct script;

/* A guest that is running, for guest_request.drive. */
struct guest_live {
	struct console *console;
	const char *monitor; /* the socket of its monitor: guest/qmp.h; NULL: it has none */
};

struct guest_request {
	const char *medium; /* a stick file or ISO to boot from; NULL: kernel + initrd */
	bool medium_is_cd;
	const char *kernel, *initrd, *append; /* direct boot; NULL when a medium boots */
	bool uefi; /* qemu: OVMF instead of SeaBIOS */
	bool firmware_shown; /* qemu: what the BIOS and a boot loader print is on the console as well; UEFI's always is */
	const char *accel; /* qemu: "tcg" or "kvm"; NULL: kvm if qemu_kvm_works() */
	struct strlist
		disks; /* "FILE[,if=virtio|sata|nvme|usb][,serial=S][,rw|,cow=FILE]": snapshot but for these */
	struct strlist consoles; /* UML: further ones, each "pty" or "port:N" on the loopback */
	const char *
		link; /* a socket's path where two guests find each other: a cable between them; NULL: none */
	unsigned memory_mib; /* 0: a default that fits */
	const char *until; /* end when this text appears on the console; NULL: run until it powers off */
	const struct script *script; /* what is done at the console; then the guest is ended; NULL: nothing */
	unsigned step_limit; /* seconds for each step of the script; 0: 120 */
	const struct strlist *alarms; /* texts that end it with -ECANCELED; NULL: none */
	bool settle; /* UML: what it has not written yet is written before it is ended */
	unsigned timeout; /* seconds it may take; 0: 300 for `until`, else no limit */
	const char *log; /* the whole console goes here too; NULL: no log */
	bool interactive; /* the terminal is the guest's console */
	int show_fd; /* otherwise the console is copied here, to be read; 0: nowhere */
	bool network; /* user network: host's loopback is 10.0.2.2 */
	const char *bridge; /* qemu: a cable to this bridge of the machine; NULL: none */
	/* qemu: */
	bool cut_off; /* the network leads nowhere, neither to this machine nor beyond it */
	struct strlist
		forwards; /* "PORT:GUEST-PORT": TCP ports of the loopback that lead to the guest's all the same */
	bool text_screen; /* a graphics card that no kernel loads a driver for by itself: BIOS machines stay in text mode */
	const char *
		variables; /* UEFI: the firmware's memory is this file, made when it is not there; NULL: a fresh one */
	/* Sees it through instead of all of the above; then it is ended, if it has not by itself. */
	int (*drive)(void *user, const struct guest_live *guest, struct error *e);
	void *user;
};

/* Is it a CD image, by its content? */
int guest_medium_is_cd(const char *path, bool *ret, struct error *e);

/* True only when a short probe guest really ran under KVM (an existing /dev/kvm proves nothing).
 * Takes up to three seconds where it does not. */
bool qemu_kvm_works(struct report *report);

/* Both return 0 when the guest powered off, showed `until`, or the person at the terminal left it.
 * They never write to the medium, nor to a disk without `rw`; with `cow` only to the COW file. Whatever happens, also to this
 * process, no guest and no temporary file stays behind. SIGINT, SIGTERM, SIGHUP and SIGQUIT end the
 * guest and come back as -EINTR. */
int qemu_run(const struct guest_request *request, struct report *report, struct error *e);
int uml_run(const struct guest_request *request, struct report *report, struct error *e);
