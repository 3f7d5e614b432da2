/* A machine with layers, for tests. */
#pragma once
#include "machine-lab.h"
#include "machine/plan.h"

#define DISK(name)                                                                                   \
	"[disk " name "]\npath = /dev/" name "\nserial = " name "\nbus = sata\nsize = 10737418240\n" \
	"sector-size = 512\ntable = gpt\n"
#define PARTITION(disk, number, start, size)                                                                 \
	"[partition " disk number "]\ndisk = " disk "\nnumber = " number "\nstart = " start "\nsize = " size \
	"\ntype = 0FC63DAF-8483-4772-8E79-3D69D8477DE4\n"

/* two disks, each 1 GiB for a raid1 with /boot and 8 GiB for a raid1, LUKS on it, a group in that */
static const char server[] = "[machine]\nfirmware = bios\n" DISK("sda")
	PARTITION("sda", "1", "1048576", "1073741824") PARTITION("sda", "2", "1074790400", "8589934592")
		DISK("sdb") PARTITION("sdb", "1", "1048576", "1073741824") PARTITION(
			"sdb", "2", "1074790400",
			"8589934592") "[raid md0]\ndevices = sda1, sdb1\nlevel = raid1\nmetadata = 1.2\n"
				      "uuid = 8b1c2d3e:00000000:11111111:22222222\nname = host:0\n"
				      "component-size = 1072693248\ndata-offset = 1048576\n"
				      "[filesystem md0]\ntype = ext4\nmountpoint = /boot\nused = "
				      "104857600\nstream = boot\nmethod = dump\n"
				      "fs.block-size = 4096\nfs.blocks = 261888\nfs.inodes = 65536\n"
				      "[raid md1]\ndevices = sda2, sdb2\nlevel = raid1\nmetadata = 1.2\n"
				      "uuid = 8b1c2d3e:00000000:11111111:33333333\nname = host:1\n"
				      "component-size = 8588886016\ndata-offset = 1048576\nbitmap = yes\n"
				      "[crypt secret]\ndevice = md1\ntype = luks2\nuuid = "
				      "0e1f2a3b-4c5d-6e7f-8091-a2b3c4d5e6f7\n"
				      "cipher = aes-xts-plain64\nkey-bits = 512\noffset = "
				      "16777216\nsector-size = 512\nstream = luks-md1\n"
				      "[group vg0]\ndevices = secret\ndevice-uuids = "
				      "abcdef-0123-4567-89ab-cdef-0123-456789\n"
				      "device-starts = 1048576\nuuid = "
				      "ghijkl-0123-4567-89ab-cdef-0123-456789\nextent-size = 4194304\ntags = "
				      "production,daily\n"
				      "[volume vg0/root]\ntype = linear\nuuid = "
				      "mnopqr-0123-4567-89ab-cdef-0123-456789\nsize = 6442450944\n"
				      "[filesystem vg0/root]\ntype = ext4\nmountpoint = /\nused = "
				      "1073741824\nstream = root\nmethod = dump\n"
				      "fs.block-size = 4096\nfs.blocks = 1572864\nfs.inodes = 393216\n"
				      "[volume vg0/swap]\ntype = linear\nuuid = "
				      "stuvwx-0123-4567-89ab-cdef-0123-456789\nsize = 1073741824\n"
				      "[swap vg0/swap]\ntype = swap\n"
				      "[boot]\nloader = grub\ntarget = i386-pc\ndisk = sda, sdb\n";

/* What the plan says of a device that has another size than before; "": nothing. */
static inline const char *change_of(const struct plan *p, const char *name)
{
	for (size_t i = 0; i < p->step_count; i++)
		for (size_t k = 0; k < p->steps[i].changes.count; k++) {
			const char *after = str_after(p->steps[i].changes.items[k], name);

			if (after && *after == ' ')
				return p->steps[i].changes.items[k];
		}
	return "";
}
