/* The master boot record of a stick: boot code, disk signature and one active partition.
 * Layout: UEFI specification 5.2.1, which describes the legacy MBR. */
#pragma once
#include <stdint.h>

enum { MBR_SIZE = 512, MBR_CODE_SIZE = 440, MBR_TYPE_FAT32 = 0x0c, MBR_TYPE_FAT16 = 0x0e /* both by LBA */ };

/* `start` and `count` in sectors of 512 bytes. */
void mbr_make(const uint8_t code[MBR_CODE_SIZE], uint32_t signature, uint8_t type, uint32_t start,
	      uint32_t count, uint8_t ret[MBR_SIZE]);
