/* The bare calls (bare.h). */
#define _GNU_SOURCE
#include "bare.h"

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "side.h"

typedef struct { uint64_t cookie; } daos_handle_t;
typedef struct { uint64_t lo, hi; } daos_obj_id_t;
typedef struct { void *buf; size_t buf_len, len; } d_iov_t;
typedef struct { uint32_t nr, nr_out; d_iov_t *iovs; } d_sg_list_t;
typedef void dfs_t, dfs_obj_t;

static struct {
	int (*daos_init)(void);
	int (*pool_connect)(const char *, const char *, unsigned, daos_handle_t *, void *, void *);
	int (*cont_open)(daos_handle_t, const char *, unsigned, daos_handle_t *, void *, void *);
	int (*mount)(daos_handle_t, daos_handle_t, int, dfs_t **);
	int (*open)(dfs_t *, dfs_obj_t *, const char *, mode_t, int, uint32_t, uint64_t, const char *, dfs_obj_t **);
	int (*release)(dfs_obj_t *);
	int (*lookup_rel)(dfs_t *, dfs_obj_t *, const char *, int, dfs_obj_t **, mode_t *, struct stat *);
	int (*obj2id)(dfs_obj_t *, daos_obj_id_t *);
	int (*get_size)(dfs_t *, dfs_obj_t *, uint64_t *);
	int (*ostat)(dfs_t *, dfs_obj_t *, struct stat *);
	int (*read)(dfs_t *, dfs_obj_t *, d_sg_list_t *, uint64_t, uint64_t *, void *);
	int (*write)(dfs_t *, dfs_obj_t *, d_sg_list_t *, uint64_t, void *);
	int (*mkdir)(dfs_t *, dfs_obj_t *, const char *, mode_t, uint32_t);
	int (*remove)(dfs_t *, dfs_obj_t *, const char *, bool, void *);
	int (*readdir)(dfs_t *, dfs_obj_t *, void *, uint32_t *, struct dirent *);
} bare;

static dfs_t *dfs;
static dfs_obj_t *dir, *file, *deep, *wide[WIDE];

void bare_connect(const char *dirname)
{
	daos_handle_t pool, cont;
	char path[4096];
	void *lib;

	snprintf(path, sizeof(path), "%s/libdaos.so.2", getenv("PIL4DFS_DAOS_DIR"));
	lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!lib)
		die(dlerror());
	bare.daos_init = symbol(lib, "daos_init");
	bare.pool_connect = symbol(lib, "daos_pool_connect2");
	bare.cont_open = symbol(lib, "daos_cont_open2");
	bare.mount = symbol(lib, "dfs_mount");
	bare.open = symbol(lib, "dfs_open");
	bare.release = symbol(lib, "dfs_release");
	bare.lookup_rel = symbol(lib, "dfs_lookup_rel");
	bare.obj2id = symbol(lib, "dfs_obj2id");
	bare.get_size = symbol(lib, "dfs_get_size");
	bare.ostat = symbol(lib, "dfs_ostat");
	bare.read = symbol(lib, "dfs_read");
	bare.write = symbol(lib, "dfs_write");
	bare.mkdir = symbol(lib, "dfs_mkdir");
	bare.remove = symbol(lib, "dfs_remove");
	bare.readdir = symbol(lib, "dfs_readdir");
	if (bare.daos_init() || bare.pool_connect(getenv("D_IL_POOL"), NULL, 2, &pool, NULL, NULL) ||
	    bare.cont_open(pool, getenv("D_IL_CONTAINER"), 2, &cont, NULL, NULL) ||
	    bare.mount(pool, cont, O_RDWR, &dfs) ||
	    bare.lookup_rel(dfs, NULL, dirname, O_RDWR, &dir, NULL, NULL) ||
	    bare.lookup_rel(dfs, dir, "file", O_RDWR, &file, NULL, NULL))
		die("cannot connect by hand");
}

void bare_trees(void)
{
	dfs_obj_t *above;
	char name[16];
	int i;

	deep = dir;
	for (i = 1; i < 6; i++) {
		snprintf(name, sizeof(name), i == 1 ? "deep" : "%d", i);
		if (bare.lookup_rel(dfs, deep, name, O_RDWR, &deep, NULL, NULL))
			die(DEEP);
	}
	if (bare.lookup_rel(dfs, dir, "wide", O_RDWR, &above, NULL, NULL))
		die("wide");
	for (i = 0; i < WIDE; i++) {
		snprintf(name, sizeof(name), "%d", i);
		if (bare.lookup_rel(dfs, above, name, O_RDWR, &wide[i], NULL, NULL))
			die(name);
	}
}

static bool read_at(uint64_t offset)
{
	d_iov_t iov = {block, BLOCK, BLOCK};
	d_sg_list_t sgl = {1, 0, &iov};
	uint64_t n = 0;

	return bare.read(dfs, file, &sgl, offset, &n, NULL) == 0 && n == BLOCK;
}

static bool write_at(dfs_obj_t *object, uint64_t offset)
{
	d_iov_t iov = {block, BLOCK, BLOCK};
	d_sg_list_t sgl = {1, 0, &iov};

	return bare.write(dfs, object, &sgl, offset, NULL) == 0;
}

bool bare_pread(int i)
{
	(void)i;
	return read_at(0);
}

bool bare_pwrite(int i)
{
	(void)i;
	return write_at(file, 0);
}

bool bare_read(int i)
{
	return read_at((uint64_t)i * BLOCK);
}

bool bare_write(int i)
{
	return write_at(file, (uint64_t)i * BLOCK);
}

bool bare_size(int i)
{
	uint64_t size;

	(void)i;
	return bare.get_size(dfs, file, &size) == 0;
}

bool bare_fstat(int i)
{
	struct stat st;

	(void)i;
	return bare.ostat(dfs, file, &st) == 0;
}

static bool look_in(dfs_obj_t *parent, const char *name, int flags)
{
	daos_obj_id_t id;
	struct stat st;
	dfs_obj_t *o;
	mode_t mode;

	return bare.lookup_rel(dfs, parent, name, flags | O_NOFOLLOW, &o, &mode, &st) == 0 && bare.obj2id(o, &id) == 0 &&
	       bare.release(o) == 0;
}

static bool look(const char *name, int flags)
{
	return look_in(dir, name, flags);
}

bool bare_deep(int i)
{
	(void)i;
	return look_in(deep, "file", O_RDONLY);
}

bool bare_wide(int i)
{
	return look_in(wide[i % WIDE], "file", O_RDONLY);
}

bool bare_stat(int i)
{
	(void)i;
	return look("file", O_RDONLY);
}

bool bare_missing(int i)
{
	(void)i;
	return !look("missing", O_RDONLY);
}

bool bare_open(int i)
{
	(void)i;
	return look("file", O_RDWR);
}

static bool create_in(dfs_obj_t *parent, int i, bool content)
{
	dfs_obj_t *o;

	return bare.open(dfs, parent, names[i], S_IFREG | 0644, O_CREAT | O_EXCL | O_RDWR, 0, 0, NULL, &o) == 0 &&
	       (!content || write_at(o, 0)) && bare.release(o) == 0;
}

bool bare_create(int i)
{
	return create_in(dir, i, false);
}

bool bare_small(int i)
{
	return create_in(dir, i, true);
}

bool bare_spread(int i)
{
	dfs_obj_t *parent = wide[i % WIDE];

	return create_in(parent, i, false) && bare.remove(dfs, parent, names[i], false, NULL) == 0;
}

bool bare_mkdir(int i)
{
	return bare.mkdir(dfs, dir, names[i], 0755, 0) == 0 && bare.remove(dfs, dir, names[i], false, NULL) == 0;
}

bool bare_unlink(int i)
{
	return bare.remove(dfs, dir, names[i], false, NULL) == 0;
}

bool bare_stat_of(int i)
{
	return look(names[i], O_RDONLY);
}

bool bare_open_of(int i)
{
	return look(names[i], O_RDWR);
}

/* Names alone, as DFS gives them. */
bool bare_list(int i)
{
	static struct dirent entries[128];
	uint64_t anchor[16] = {0}; /* daos_anchor_t; its type comes first, 3 at the end */
	uint32_t count, all = 0;

	(void)i;
	while ((uint16_t)anchor[0] != 3) {
		count = 128;
		if (bare.readdir(dfs, dir, anchor, &count, entries))
			return false;
		all += count;
	}
	return all > 0;
}

static char large[LARGE_BLOCK];

bool bare_large_read(int i)
{
	d_iov_t iov = {large, LARGE_BLOCK, LARGE_BLOCK};
	d_sg_list_t sgl = {1, 0, &iov};
	uint64_t n = 0;

	return bare.read(dfs, file, &sgl, (uint64_t)(i % 16) * LARGE_BLOCK, &n, NULL) == 0 && n == LARGE_BLOCK;
}

bool bare_large_write(int i)
{
	d_iov_t iov = {large, LARGE_BLOCK, LARGE_BLOCK};
	d_sg_list_t sgl = {1, 0, &iov};

	return bare.write(dfs, file, &sgl, (uint64_t)(i % 16) * LARGE_BLOCK, NULL) == 0;
}
