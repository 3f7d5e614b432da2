#include "image/pack.h"

#include "image/content.h"

#include <et/com_err.h>
#include <ext2fs/ext2fs.h>
#include <sys/sysmacros.h>

enum {
	block = 4096,
	log_block = 2, /* 1024 << 2 */
	inode_size = 128,
	inodes_reserved = 16, /* the first ones, and lost+found */
	addresses = block / 4, /* in a block of block numbers */
	direct = 12,
	slow_link = 60, /* a target of this length or more takes a block */
	dirent_max = 8 + 256,
	piece = 1 << 20,
};

/* It is made anew for each image; there is nothing to tell one from another by. */
static const unsigned char fixed_uuid[16] =
	"\x6c\x69\x66\x65\x62\x6f\x40\x61\x80\x74\x2d\x65\x78\x74\x32\x01";

struct writer {
	const struct tree *tree;
	ext2_filsys fs;
	ext2_ino_t *inodes; /* by the entries' index; 0: not made yet */
	char *buf;
	uint32_t mtime;
	const char *shown;
	struct pack_totals totals;
	struct error *e;
};

static void writer_free(struct writer *w)
{
	if (w->fs)
		ext2fs_free(w->fs); /* without writing: it is thrown away */
	free(w->inodes);
	free(w->buf);
}
DEFINE_CLEANUP(writer, struct writer, writer_free)

/* The library's error, on a path of the image; NULL: on the file system as a whole. Its codes below the first
 * of its own are errno's. */
static int failed(const struct writer *w, const char *path, errcode_t code)
{
	bool is_errno = code > 0 && code < EXT2_ET_BASE;
	bool is_full = code == ENOSPC || code == EXT2_ET_BLOCK_ALLOC_FAIL;

	return error_text(w->e,
			  is_errno  ? (int)code
			  : is_full ? ENOSPC
				    : EIO,
			  "write %s%s%s: %s", w->shown, path ? ", /" : "", path ? path : "",
			  error_message(code));
}

/* --- how large --- */

/* Blocks of a content, and of the numbers of those blocks. */
static uint64_t blocks_of(uint64_t size)
{
	uint64_t data = (size + block - 1) / block, all = data;

	if (data > direct)
		all++;
	if (data > direct + addresses)
		all += 1 + (data - direct - addresses + addresses - 1) / addresses;
	return all;
}

/* Every folder has room for one entry more than it has, however they fall into blocks. */
static uint64_t blocks_needed(const struct writer *w)
{
	_cleanup_(free) uint64_t *used =
		xcalloc(w->tree->count + 1, sizeof(*used)); /* by folders, in bytes */
	uint64_t blocks = 8; /* lost+found */

	for (size_t i = 0; i < w->tree->count; i++) {
		const struct entry *entry = w->tree->entries[i];
		const struct entry *parent = tree_parent(w->tree, entry);

		used[parent ? parent->index : w->tree->count] += 8 + strlen(entry_name(entry)) + 3;
		if (S_ISREG(entry->mode) && !entry->same_as)
			blocks += blocks_of(entry->size);
		if (S_ISLNK(entry->mode) && entry->size >= slow_link)
			blocks++;
	}
	for (size_t i = 0; i <= w->tree->count; i++)
		if (i == w->tree->count || S_ISDIR(w->tree->entries[i]->mode))
			blocks += blocks_of(used[i] * block / (block - dirent_max) + block);
	return blocks;
}

static int initialize(struct writer *w, const char *path, uint64_t blocks, uint32_t inodes)
{
	struct ext2_super_block param = { .s_log_block_size = log_block,
					  .s_log_cluster_size = log_block,
					  .s_rev_level = EXT2_DYNAMIC_REV,
					  .s_inodes_count = inodes,
					  .s_inode_size = inode_size,
					  .s_feature_incompat = EXT2_FEATURE_INCOMPAT_FILETYPE,
					  .s_feature_ro_compat = EXT2_FEATURE_RO_COMPAT_SPARSE_SUPER };

	ext2fs_blocks_count_set(&param, blocks);
	initialize_ext2_error_table(); /* for error_message() */
	errcode_t code = ext2fs_initialize(path, EXT2_FLAG_64BITS, &param, unix_io_manager, &w->fs);

	if (code == 0)
		code = ext2fs_allocate_tables(w->fs);
	return code ? failed(w, NULL, code) : 0;
}

/* An empty file system with that many free blocks. What it needs for itself depends on its size, so this is
 * found by trying; nothing is written yet. */
static int make_empty(struct writer *w, const char *path, uint64_t free_blocks)
{
	uint32_t inodes = (uint32_t)w->tree->count + inodes_reserved;
	uint64_t blocks = free_blocks + (uint64_t)inodes * inode_size / block + 16;

	for (;;) {
		int r = initialize(w, path, blocks, inodes);

		if (r < 0)
			return r;
		uint64_t got = ext2fs_free_blocks_count(w->fs->super);

		if (got >= free_blocks)
			return 0;
		blocks += free_blocks - got;
		ext2fs_free(w->fs);
		w->fs = NULL;
	}
}

/* What would else be the time of making or left to chance. */
static void fix_super(struct writer *w)
{
	struct ext2_super_block *super = w->fs->super;

	w->fs->now = w->mtime;
	super->s_mkfs_time = super->s_lastcheck = super->s_wtime = w->mtime;
	memcpy(super->s_uuid, fixed_uuid, sizeof(fixed_uuid));
	memcpy(super->s_hash_seed, fixed_uuid, sizeof(fixed_uuid));
	memcpy(super->s_volume_name, "lifeboat", 8);
	super->s_state |= EXT2_VALID_FS;
	super->s_max_mnt_count = -1;
	super->s_checkinterval = 0;
}

/* The root, the lost+found that e2fsck would miss, and the inodes that are nobody's. */
static int make_root(struct writer *w)
{
	errcode_t code = ext2fs_mkdir(w->fs, EXT2_ROOT_INO, EXT2_ROOT_INO, NULL);

	for (ext2_ino_t i = EXT2_BAD_INO; i < EXT2_FIRST_INODE(w->fs->super); i++)
		if (i != EXT2_ROOT_INO)
			ext2fs_inode_alloc_stats2(w->fs, i, +1, 0);
	if (!code)
		code = ext2fs_mkdir(w->fs, EXT2_ROOT_INO, 0, "lost+found");
	return code ? failed(w, NULL, code) : 0;
}

/* --- entries --- */

static ext2_ino_t parent_of(const struct writer *w, const struct entry *entry)
{
	const struct entry *parent = tree_parent(w->tree, entry);

	return parent ? w->inodes[parent->index] : EXT2_ROOT_INO; /* it comes before what is in it */
}

static int type_of(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return EXT2_FT_DIR;
	case S_IFLNK:
		return EXT2_FT_SYMLINK;
	case S_IFCHR:
		return EXT2_FT_CHRDEV;
	case S_IFBLK:
		return EXT2_FT_BLKDEV;
	default:
		return EXT2_FT_REG_FILE;
	}
}

/* A name for an inode, in a folder that grows when it is full. */
static errcode_t link_name(const struct writer *w, const struct entry *entry, ext2_ino_t inode)
{
	ext2_ino_t parent = parent_of(w, entry);
	errcode_t code = ext2fs_link(w->fs, parent, entry_name(entry), inode, type_of(entry->mode));

	if (code != EXT2_ET_DIR_NO_SPACE)
		return code;
	code = ext2fs_expand_dir(w->fs, parent);
	return code ? code : ext2fs_link(w->fs, parent, entry_name(entry), inode, type_of(entry->mode));
}

/* As mknod(2) there: Linux has the old form of device numbers in the first word, the new in the second. */
static void set_device(struct ext2_inode *inode, dev_t rdev)
{
	unsigned a = major(rdev), b = minor(rdev);

	if (a < 256 && b < 256)
		inode->i_block[0] = a << 8 | b;
	else
		inode->i_block[1] = (b & 0xff) | a << 8 | (b & ~0xffU) << 12;
}

static errcode_t make_inode(struct writer *w, const struct entry *entry, ext2_ino_t *ret)
{
	unsigned links = entry->links > 1 ? entry->links : 1;
	struct ext2_inode inode = { .i_mode = (uint16_t)entry->mode,
				    .i_links_count = (uint16_t)links,
				    .i_atime = w->mtime,
				    .i_ctime = w->mtime,
				    .i_mtime = w->mtime };
	errcode_t code = ext2fs_new_inode(w->fs, EXT2_ROOT_INO, entry->mode, NULL, ret);

	if (code)
		return code;
	if (S_ISCHR(entry->mode) || S_ISBLK(entry->mode))
		set_device(&inode, entry->rdev);
	ext2fs_inode_alloc_stats2(w->fs, *ret, +1, 0);
	return ext2fs_write_new_inode(w->fs, *ret, &inode);
}

static int write_content(struct writer *w, const struct entry *entry, ext2_ino_t inode)
{
	_cleanup_(content) struct content c = CONTENT_NONE;
	ext2_file_t file = NULL;
	int r = content_open(entry, &c, w->e);

	if (r < 0)
		return r;
	pack_totals_add(&w->totals, entry, c.size);
	if (c.size == 0)
		return 0;
	errcode_t code = ext2fs_file_open(w->fs, inode, EXT2_FILE_WRITE, &file);

	while (!code && r == 0 && c.done < c.size) {
		unsigned n = c.size - c.done < piece ? (unsigned)(c.size - c.done) : piece, written = 0;

		r = content_read(&c, w->buf, n, w->e);
		if (r < 0)
			break;
		code = ext2fs_file_write(file, w->buf, n, &written);
		if (!code && written < n)
			code = ENOSPC;
	}
	errcode_t closing = file ? ext2fs_file_close(file) : 0;

	if (r < 0)
		return r;
	if (code || closing)
		return failed(w, entry->path, code ? code : closing);
	return content_check(&c, w->e);
}

static int pack_folder(struct writer *w, const struct entry *entry)
{
	ext2_ino_t parent = parent_of(w, entry), *inode = &w->inodes[entry->index];
	struct ext2_inode made;
	errcode_t code = ext2fs_new_inode(w->fs, parent, entry->mode, NULL, inode);

	if (!code)
		code = ext2fs_mkdir(w->fs, parent, *inode, entry_name(entry));
	if (code == EXT2_ET_DIR_NO_SPACE) {
		code = ext2fs_expand_dir(w->fs, parent);
		if (!code)
			code = ext2fs_mkdir(w->fs, parent, *inode, entry_name(entry));
	}
	if (!code)
		code = ext2fs_read_inode(w->fs, *inode, &made);
	if (!code) {
		made.i_mode = (uint16_t)entry->mode;
		code = ext2fs_write_inode(w->fs, *inode, &made);
	}
	pack_totals_add(&w->totals, entry, 0);
	return code ? failed(w, entry->path, code) : 0;
}

static int pack_link(struct writer *w, const struct entry *entry)
{
	ext2_ino_t parent = parent_of(w, entry);
	errcode_t code = ext2fs_symlink(w->fs, parent, 0, entry_name(entry), entry->data);

	if (code == EXT2_ET_DIR_NO_SPACE) {
		code = ext2fs_expand_dir(w->fs, parent);
		if (!code)
			code = ext2fs_symlink(w->fs, parent, 0, entry_name(entry), entry->data);
	}
	pack_totals_add(&w->totals, entry, 0);
	return code ? failed(w, entry->path, code) : 0;
}

static int pack_entry(void *user, const struct entry *entry)
{
	struct writer *w = user;

	if (S_ISDIR(entry->mode))
		return pack_folder(w, entry);
	if (S_ISLNK(entry->mode))
		return pack_link(w, entry);
	/* The first name of a content makes the inode, the one that carries the content fills it. */
	const struct entry *content = entry->same_as ? entry->same_as : entry;
	ext2_ino_t *inode = &w->inodes[content->index];
	errcode_t code = *inode ? 0 : make_inode(w, content, inode);

	if (!code)
		code = link_name(w, entry, *inode);
	if (code)
		return failed(w, entry->path, code);
	if (S_ISREG(entry->mode) && !entry->same_as)
		return write_content(w, entry, *inode);
	pack_totals_add(&w->totals, entry, 0);
	return 0;
}

int pack_ext2(const struct tree *tree, uint64_t margin, time_t mtime, int fd, const char *shown,
	      struct pack_totals *ret, struct report *report, struct error *e)
{
	_cleanup_(writer) struct writer w = { .tree = tree, .shown = shown, .e = e };
	_cleanup_(free) char *path = xasprintf("/proc/self/fd/%d", fd); /* the library opens a path */

	w.inodes = xcalloc(tree->count + 1, sizeof(*w.inodes));
	w.buf = xmalloc(piece);
	w.mtime = mtime > 0 ? (uint32_t)mtime : 1; /* 0 would be taken for now */
	int r = make_empty(&w, path, blocks_needed(&w) + (margin + block - 1) / block);

	if (r < 0)
		return r;
	if (ftruncate(fd, (off_t)ext2fs_blocks_count(w.fs->super) * block) < 0)
		return error_errno(e, errno, "write %s", shown);
	fix_super(&w);
	r = make_root(&w);
	if (r == 0)
		r = pack_each(tree, pack_entry, &w, report);
	if (r < 0)
		return r;
	errcode_t code = ext2fs_close_free(&w.fs); /* all that is left is written here */
	if (code)
		return failed(&w, NULL, code);
	*ret = w.totals;
	return 0;
}
