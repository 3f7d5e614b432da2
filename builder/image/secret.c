#include "image/secret.h"

#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

enum { max_secret = 1 << 20 };

int secret_read(const char *what, const char *path, struct strbuf *ret, struct error *e)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return error_errno(e, errno, "read %s %s", what, path);
	if (st.st_mode & 077)
		return error_text(e, EPERM, "read %s %s: others can read it (mode %04o); do: chmod 600 %s",
				  what, path, (unsigned)st.st_mode & 07777, path);
	return read_file_at(AT_FDCWD, path, max_secret, &ret->data, &ret->len, e);
}
