/* The file that a boot loader loads: an x86 bzImage (Linux: Documentation/arch/x86/boot.rst), which holds
 * the compressed kernel as its payload. An ELF file is taken too: User-Mode Linux, or a vmlinux. */
#pragma once
#include "image/decompress.h"

/* The version in the header, as uname -r gives it. The caller frees `*ret`. A file that is neither is
 * -ENOEXEC, one that is shorter than its header says -ENODATA. */
int kernel_image_version(const char *path, char **ret, struct error *e);

/* Hands the kernel itself to `out`, piece by piece and unpacked. Returns 0, what `out` returned, or a
 * negative errno: -ENOTSUP when the kernel is packed in a way that cannot be read here. */
int kernel_image_unpack(const char *path, decompress_out *out, void *user, struct error *e);
