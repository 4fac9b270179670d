/*
 * The independent reader: looks at every byte of a tree by bare DFS calls,
 * without the library, and prints what a walk over a kernel directory prints.
 * It also finds what a file system's user does not see: hidden files that were
 * left over.
 *
 *	reader dfs /DIR		by D_IL_POOL and D_IL_CONTAINER
 *	reader kernel DIR	the same of a kernel directory, the oracle
 */
#include "history.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define MOST (4 << 20)
#define BATCH 16
#define NAMES 4096 /* of a directory */

char top[PATH_MAX], home[PATH_MAX];
bool together;
int workers, me, slots[SLOTS];

static int wrong;
static char bytes[MOST];

static void die(const char *what)
{
	fprintf(stderr, "reader: %s\n", what);
	exit(2);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void file_line(const char *path, mode_t mode, const char *data,
		      size_t size, unsigned int id)
{
	printf("- %04o %zu %08x %04x %s\n", mode & 07777, size,
	       hash_of(data, size), id, path);
	for (size_t at = 0; at < size; at += CELL) {
		size_t n = size - at < CELL ? size - at : CELL;

		if (belongs(data + at, n, id, at / CELL))
			continue;
		printf("%s (%04x): cell %zu: \"%.16s\" does not belong there\n",
		       path, id, at / CELL, data + at);
		wrong++;
	}
}

static void link_line(const char *path, const char *target, size_t len)
{
	printf("l %.*s %s\n", (int)len, target, path);
}

/* ---------------------------------------------------------- by bare calls */

typedef struct {
	uint64_t cookie;
} handle_t;
typedef struct {
	void *buf;
	size_t buf_len, len;
} iov_t;
typedef struct {
	uint32_t nr, nr_out;
	iov_t *iovs;
} sg_list_t;
typedef struct {
	uint16_t type, shard;
	uint32_t flags;
	uint64_t sub_anchors;
	uint8_t buf[104];
} anchor_t;
#define AT_END 3
typedef void dfs_t, obj_t;

static dfs_t *dfs;
static int (*dfs_lookup_rel)(dfs_t *, obj_t *, const char *, int, obj_t **,
			     mode_t *, struct stat *);
static int (*dfs_readdir)(dfs_t *, obj_t *, anchor_t *, uint32_t *,
			  struct dirent *);
static int (*dfs_read)(dfs_t *, obj_t *, sg_list_t *, uint64_t, uint64_t *,
		       void *);
static int (*dfs_getxattr)(dfs_t *, obj_t *, const char *, void *, uint64_t *);
static int (*dfs_symlink)(obj_t *, char *, uint64_t *);
static int (*dfs_release)(obj_t *);

static void *symbol(void *lib, const char *name)
{
	void *at = dlsym(lib, name);

	if (!at)
		die(name);
	return at;
}

static void connect_by_hand(void)
{
	int (*init)(void), (*mount)(handle_t, handle_t, int, dfs_t **);
	int (*pool_connect)(const char *, const char *, unsigned int,
			    handle_t *, void *, void *);
	int (*cont_open)(handle_t, const char *, unsigned int, handle_t *,
			 void *, void *);
	handle_t pool, cont;
	char path[PATH_MAX];
	const char *where = getenv("PIL4DFS_DAOS_DIR");

	snprintf(path, sizeof(path), "%s/libdaos.so.2", where ? where : "");
	void *lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);

	if (!lib)
		die(dlerror());
	init = symbol(lib, "daos_init");
	pool_connect = symbol(lib, "daos_pool_connect2");
	cont_open = symbol(lib, "daos_cont_open2");
	mount = symbol(lib, "dfs_mount");
	dfs_lookup_rel = symbol(lib, "dfs_lookup_rel");
	dfs_readdir = symbol(lib, "dfs_readdir");
	dfs_read = symbol(lib, "dfs_read");
	dfs_getxattr = symbol(lib, "dfs_getxattr");
	dfs_symlink = symbol(lib, "dfs_get_symlink_value");
	dfs_release = symbol(lib, "dfs_release");
	if (init() ||
	    pool_connect(getenv("D_IL_POOL"), NULL, 2, &pool, NULL, NULL) ||
	    cont_open(pool, getenv("D_IL_CONTAINER"), 2, &cont, NULL, NULL) ||
	    mount(pool, cont, O_RDWR, &dfs))
		die("cannot connect");
}

/* The names of a directory, sorted; the caller frees them. */
static size_t bare_names(obj_t *dir, char **names, size_t most)
{
	struct dirent batch[BATCH];
	anchor_t anchor = {0};
	size_t count = 0;

	while (anchor.type != AT_END) {
		uint32_t nr = BATCH;

		if (dfs_readdir(dfs, dir, &anchor, &nr, batch) != 0)
			die("dfs_readdir");
		if (count + nr > most)
			die("a directory with more names than looked for");
		for (uint32_t i = 0; i < nr; i++)
			names[count++] = strdup(batch[i].d_name);
	}
	qsort(names, count, sizeof(names[0]), by_name);
	return count;
}

static void bare_file(const char *path, obj_t *file, const struct stat *st)
{
	iov_t iov = {bytes, MOST, MOST};
	sg_list_t sgl = {1, 0, &iov};
	uint64_t n = 0, len = 8;
	char text[8];
	ssize_t got =
		dfs_getxattr(dfs, file, ID, text, &len) ? -1 : (ssize_t)len;

	if (dfs_read(dfs, file, &sgl, 0, &n, NULL) != 0)
		die("dfs_read");
	file_line(path, st->st_mode, bytes, n, parse_id(text, got));
}

static void bare_walk(obj_t *dir, const char *path)
{
	char *names[NAMES], inner[PATH_MAX], target[PATH_MAX];
	size_t count = bare_names(dir, names, NAMES);

	for (size_t i = 0; i < count; i++) {
		uint64_t len = sizeof(target);
		struct stat st;
		mode_t mode;
		obj_t *o;

		snprintf(inner, sizeof(inner), "%.3000s/%s", path, names[i]);
		if (dfs_lookup_rel(dfs, dir, names[i], O_RDONLY | O_NOFOLLOW,
				   &o, &mode, &st) != 0)
			die(inner);
		if (S_ISDIR(mode)) {
			printf("d %04o %s\n", mode & 07777, inner);
			bare_walk(o, inner);
		} else if (S_ISLNK(mode)) {
			if (dfs_symlink(o, target, &len) != 0)
				die("dfs_get_symlink_value");
			link_line(inner, target, strnlen(target, len));
		} else {
			bare_file(inner, o, &st);
		}
		dfs_release(o);
		free(names[i]);
	}
}

/* Below the root's hidden directory lie one directory a node, and no files. */
static void leftovers(void)
{
	char *nodes[NAMES], *names[NAMES];
	obj_t *hidden, *node;
	mode_t mode;

	if (dfs_lookup_rel(dfs, NULL, ".pil4dfs", O_RDONLY, &hidden, &mode,
			   NULL) != 0)
		return;
	size_t count = bare_names(hidden, nodes, NAMES);

	for (size_t i = 0; i < count; i++) {
		if (dfs_lookup_rel(dfs, hidden, nodes[i], O_RDONLY, &node,
				   &mode, NULL) != 0 ||
		    !S_ISDIR(mode))
			continue;
		size_t left = bare_names(node, names, NAMES);

		for (size_t k = 0; k < left; k++) {
			printf("left over: .pil4dfs/%s/%s\n", nodes[i],
			       names[k]);
			wrong++;
		}
	}
}

/* --------------------------------------------------- of a kernel directory */

static void kernel_file(const char *path, const char *shown, mode_t mode)
{
	/* The oracle may look, whatever mode a history left. */
	chmod(path, 0600);
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, bytes, MOST);

	if (n < 0)
		die(path);
	file_line(shown, mode, bytes, n, id_of(fd));
	close(fd);
	chmod(path, mode & 07777);
}

static void kernel_walk(const char *path, const char *shown)
{
	char *names[NAMES], inner[PATH_MAX], as[PATH_MAX], target[PATH_MAX];
	struct dirent *entry;
	size_t count = 0;
	struct stat st;
	DIR *dir = opendir(path);

	if (!dir)
		die(path);
	while ((entry = readdir(dir))) {
		if (count == NAMES)
			die("a directory with more names than looked for");
		if (strcmp(entry->d_name, ".") != 0 &&
		    strcmp(entry->d_name, "..") != 0)
			names[count++] = strdup(entry->d_name);
	}
	closedir(dir);
	qsort(names, count, sizeof(names[0]), by_name);
	for (size_t i = 0; i < count; i++) {
		snprintf(inner, sizeof(inner), "%.3000s/%s", path, names[i]);
		snprintf(as, sizeof(as), "%.3000s/%s", shown, names[i]);
		free(names[i]);
		if (lstat(inner, &st) != 0)
			die(inner);
		if (S_ISDIR(st.st_mode)) {
			printf("d %04o %s\n", st.st_mode & 07777, as);
			kernel_walk(inner, as);
		} else if (S_ISLNK(st.st_mode)) {
			ssize_t n = readlink(inner, target, sizeof(target));

			link_line(as, target, n < 0 ? 0 : n);
		} else {
			kernel_file(inner, as, st.st_mode);
		}
	}
}

int main(int argc, char **argv)
{
	obj_t *dir;
	mode_t mode;

	if (argc != 3)
		return 2;
	if (strcmp(argv[1], "kernel") == 0) {
		kernel_walk(argv[2], "");
		return wrong != 0;
	}
	connect_by_hand();
	if (dfs_lookup_rel(dfs, NULL, argv[2] + 1, O_RDONLY, &dir, &mode,
			   NULL) != 0)
		die(argv[2]);
	bare_walk(dir, "");
	leftovers();
	return wrong != 0;
}
