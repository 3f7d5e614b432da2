/* How a disk is known, on a folder like /sys/block: what is no serial number is not taken for one. */
#include "machine/identity.h"
#include "base/fs.h"
#include "tap.h"

#include <sys/stat.h>

static struct error e;

/* What is taken for the serial number of a disk whose sysfs says this; NULL: says none. The caller frees. */
static char *serial_of(const char *serial)
{
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;
	_cleanup_(machine) struct machine m = { 0 };

	CHECK_OK(tempdir_make(&t, &e));
	CHECK(mkdirat(t.fd, "no-such-disk", 0700) == 0);
	CHECK_OK(write_file_at(t.fd, "no-such-disk/dev", 0600, "253:255\n", 8, &e));
	if (serial)
		CHECK_OK(write_file_at(t.fd, "no-such-disk/serial", 0600, serial, strlen(serial), &e));
	struct device *disk = machine_add(&m, DEVICE_DISK, "no-such-disk");

	CHECK_OK(identify_disk(t.fd, disk, &e));
	return TAKE_PTR(disk->identity.serial);
}

TEST(a_serial_is_the_text_without_blanks)
{
	_cleanup_(free) char *serial = serial_of("  WD-WX 41\x01\n");

	CHECK_STR(serial, "WD-WX 41");
}

TEST(fillers_are_no_serials)
{
	/* zeros of cheap USB bridges; the kernel's word for a missing text, as User-Mode Linux's ubd has it;
	 * what every guest's first disk is called */
	static const char *const fillers[] = { NULL,
					       "\n",
					       "0000 0000\n",
					       "(null)\n",
					       "QM00001\n",
					       "QM00013\n",
					       "VMware NVME_0000\n",
					       "0123456789ABCDEF\n",
					       "123456789012\n" };

	for (size_t i = 0; i < sizeof(fillers) / sizeof(*fillers); i++) {
		_cleanup_(free) char *serial = serial_of(fillers[i]);

		CHECK(!serial);
	}
}

TAP_MAIN()
