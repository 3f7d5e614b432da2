#include "backup/ext_xattrs.h"

#include "base/number.h"
#include "base/str.h"

#include <errno.h>
#include <stdint.h>

enum {
	magic_block = 0xEA020000,
	magic_inode = 0xEA020001,
	block_head = 32,
	inode_head = 4,
	entry_head = 16,
	index_acl_access = 2,
	index_acl_default = 3,
	acl_user = 2, /* tags with an id: include/uapi/linux/posix_acl.h */
	acl_group = 8,
};

static int bad(struct error *e)
{
	return error_text(e, EBADMSG, "damaged extended attributes");
}

/* From ext4's ACL (version 1; an id only where one is needed) to that of setxattr(2) (version 2;
 * include/uapi/linux/posix_acl_xattr.h). */
static bool convert_acl(const char *value, size_t len, struct strbuf *ret)
{
	const uint32_t version = htole32(2);
	const char *end = value + len;

	if (len < 4 || le32_at(value) != 1)
		return false;
	strbuf_add(ret, &version, sizeof(version));
	for (value += 4; value < end; value += 4) {
		uint32_t id = UINT32_MAX;
		bool has_id;

		if (end - value < 4)
			return false;
		has_id = le16_at(value) == acl_user || le16_at(value) == acl_group;
		if (has_id && end - value < 8)
			return false;
		strbuf_add(ret, value, 4); /* tag and rights */
		if (has_id)
			memcpy(&id, value + 4, sizeof(id));
		strbuf_add(ret, &id, sizeof(id));
		value += has_id ? 4 : 0;
	}
	return true;
}

/* fs/ext4/xattr.h: EXT4_XATTR_INDEX_* */
static const char *prefix(unsigned index)
{
	static const char *const prefixes[] = { NULL,
						"user.",
						"system.posix_acl_access",
						"system.posix_acl_default",
						"trusted.",
						NULL,
						"security.",
						"system." };

	return index < sizeof(prefixes) / sizeof(*prefixes) ? prefixes[index] : NULL;
}

int ext_xattrs_parse(const char *area, size_t len,
		     int (*each)(void *user, const char *name, const void *value, size_t len,
				 struct error *e),
		     void *user, struct error *e)
{
	bool block = len >= block_head && le32_at(area) == magic_block;

	if (!block && (len < inode_head || le32_at(area) != magic_inode))
		return bad(e);
	size_t at = block ? block_head : inode_head;
	const size_t values = block ? 0 : inode_head; /* offsets of values count from there */
	int r = 0;

	while (r == 0 && at + 4 <= len && le32_at(area + at)) {
		if (len - at < entry_head || len - at - entry_head < (unsigned char)area[at])
			return bad(e);
		const char *entry = area + at;
		size_t name_len = (unsigned char)entry[0];
		unsigned index = (unsigned char)entry[1];
		uint64_t offset = values + le16_at(entry + 2), size = le32_at(entry + 8);

		/* a value in an inode of its own (ea_inode) is nothing that dump saves */
		if (!prefix(index) || le32_at(entry + 4) || offset + size > len)
			return bad(e);
		_cleanup_(free) char *name =
			xasprintf("%s%.*s", prefix(index), (int)name_len, entry + entry_head);
		_cleanup_(strbuf) struct strbuf acl = { 0 };

		if (index == index_acl_access || index == index_acl_default)
			r = convert_acl(area + offset, (size_t)size, &acl)
				    ? each(user, name, acl.data, acl.len, e)
				    : bad(e);
		else
			r = each(user, name, area + offset, (size_t)size, e);
		at += (entry_head + name_len + 3) & ~(size_t)3;
	}
	return r;
}
