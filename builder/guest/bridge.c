#include "guest/bridge.h"

#include "base/cleanup.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>

static const char tun_device[] = "/dev/net/tun", names[] = "lifeboat%d"; /* the kernel takes a free number */

static int put_up(int control, const char *name, struct error *e)
{
	struct ifreq r = { 0 };

	memcpy(r.ifr_name, name, sizeof(r.ifr_name));
	if (ioctl(control, SIOCGIFFLAGS, &r) < 0)
		return error_errno(e, errno, "look at the interface %s", name);
	r.ifr_flags = (short)(r.ifr_flags | IFF_UP);
	return ioctl(control, SIOCSIFFLAGS, &r) < 0 ? error_errno(e, errno, "put the interface %s up", name)
						    : 0;
}

static int join(int control, const char *bridge, const char *name, struct error *e)
{
	struct ifreq r = { 0 };

	memcpy(r.ifr_name, bridge, strlen(bridge) + 1); /* bridge_open() has looked at its length */
	r.ifr_ifindex = (int)if_nametoindex(name);
	if (r.ifr_ifindex && ioctl(control, SIOCBRADDIF, &r) == 0)
		return 0;
	if (errno == ENODEV)
		return error_errno(e, ENODEV, "join the bridge %s", bridge);
	if (errno == EOPNOTSUPP)
		return error_text(e, EOPNOTSUPP, "join the bridge %s: it is none", bridge);
	return error_errno(e, errno, "join the bridge %s by %s", bridge, name);
}

int bridge_open(const char *bridge, int *ret_fd, struct error *e)
{
	_cleanup_(fd) int tap = -1, control = -1;
	struct ifreq r = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };

	if (strlen(bridge) >= IFNAMSIZ)
		return error_errno(e, ENAMETOOLONG, "join the bridge %s", bridge);
	tap = open(tun_device, O_RDWR); /* NOLINT(android-cloexec-open): the guest inherits it */
	if (tap < 0)
		return error_errno(e, errno, "open %s", tun_device);
	memcpy(r.ifr_name, names, sizeof(names));
	if (ioctl(tap, TUNSETIFF, &r) < 0)
		return error_errno(e, errno, "make an interface for the bridge %s", bridge);
	control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (control < 0)
		return error_errno(e, errno, "join the bridge %s", bridge);
	int result = join(control, bridge, r.ifr_name, e);

	if (result == 0)
		result = put_up(control, r.ifr_name, e);
	if (result == 0)
		*ret_fd = TAKE_FD(tap);
	return result;
}
