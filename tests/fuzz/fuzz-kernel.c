/* Kernel images and configurations: whatever the bytes, reading the version, unpacking the kernel and looking
 * for its configuration end with a value or an error. */
#include "base/fs.h"
#include "image/kernel_config.h"
#include "image/kernel_image.h"

#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_up(const char *text)
{
	const struct kernel_config config = { .text = (char *)(size_t)text };
	static const char *const names[] = { "CONFIG_RD_ZSTD", "CONFIG_BLK_DEV_RAM_SIZE", "CONFIG_" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		_cleanup_(free) char *value = kernel_config_value(&config, names[i]);

		if ((value && strpbrk(value, "\r\n")) ||
		    (!value && kernel_config_get(&config, names[i]) != KERNEL_OPTION_NO))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(fd) int fd = memfd_create("fuzz", MFD_CLOEXEC);
	_cleanup_(free) char *path = xasprintf("/proc/self/fd/%d", fd);
	_cleanup_(free) char *version = NULL;
	_cleanup_(free) char *text = xstrndup((const char *)data, size);
	_cleanup_(strbuf) struct strbuf config = { 0 };
	struct error e;

	if (fd < 0 || write_all(fd, data, size) < 0)
		abort();
	look_up(text);
	if (kernel_image_version(path, &version, &e) == 0 && (!*version || strpbrk(version, "/ \n")))
		abort();
	if (kernel_config_embedded(path, &config, &e) == 1 && config.data)
		look_up(config.data);
	return 0;
}
