/*
 * What the library adds, measured inside one process: each operation through the library, as the bare
 * dfs_* call on a handle of our own, and on a kernel directory - in turns, so that drift hits all three.
 *
 *     bench MOUNT_DIR KERNEL_DIR ROUNDS
 *
 * MOUNT_DIR lies below a mount of D_IL_POOL/D_IL_CONTAINER; run by tests/bench/run. Prints one line an
 * operation: name, then the median nanoseconds of library (export), library (site: libc's own function),
 * bare DFS and kernel; "-" where there is none.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS_MAX 101

/* the bare calls: what the ABI of libdaos and libdfs says */
typedef struct { uint64_t cookie; } daos_handle_t;
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
	int (*read)(dfs_t *, dfs_obj_t *, d_sg_list_t *, uint64_t, uint64_t *, void *);
	int (*write)(dfs_t *, dfs_obj_t *, d_sg_list_t *, uint64_t, void *);
	int (*remove)(dfs_t *, dfs_obj_t *, const char *, bool, void *);
} bare;

static dfs_t *dfs;
static dfs_obj_t *dir, *file;
static char block[4096];

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void *symbol(void *lib, const char *name)
{
	void *p = dlsym(lib, name);

	if (!p) {
		fprintf(stderr, "bench: no %s\n", name);
		exit(1);
	}
	return p;
}

static void connect_bare(const char *dirname)
{
	daos_handle_t pool, cont;
	char path[4096];
	void *lib;

	snprintf(path, sizeof(path), "%s/libdaos.so.2", getenv("PIL4DFS_DAOS_DIR"));
	lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!lib) {
		fprintf(stderr, "bench: %s\n", dlerror());
		exit(1);
	}
	bare.daos_init = symbol(lib, "daos_init");
	bare.pool_connect = symbol(lib, "daos_pool_connect2");
	bare.cont_open = symbol(lib, "daos_cont_open2");
	bare.mount = symbol(lib, "dfs_mount");
	bare.open = symbol(lib, "dfs_open");
	bare.release = symbol(lib, "dfs_release");
	bare.lookup_rel = symbol(lib, "dfs_lookup_rel");
	bare.read = symbol(lib, "dfs_read");
	bare.write = symbol(lib, "dfs_write");
	bare.remove = symbol(lib, "dfs_remove");
	if (bare.daos_init() || bare.pool_connect(getenv("D_IL_POOL"), NULL, 2, &pool, NULL, NULL) ||
	    bare.cont_open(pool, getenv("D_IL_CONTAINER"), 2, &cont, NULL, NULL) ||
	    bare.mount(pool, cont, O_RDWR, &dfs) ||
	    bare.lookup_rel(dfs, NULL, dirname, O_RDWR, &dir, NULL, NULL) ||
	    bare.lookup_rel(dfs, dir, "file", O_RDWR, &file, NULL, NULL)) {
		fprintf(stderr, "bench: cannot connect by hand\n");
		exit(1);
	}
}

/* one side of a comparison: descriptor and paths on one file system, and which libc functions to use */
struct side {
	int fd;
	char file[4096], fresh[4096];
	ssize_t (*pread)(int, void *, size_t, off_t);
	ssize_t (*pwrite)(int, const void *, size_t, off_t);
	off_t (*lseek)(int, off_t, int);
	int (*stat)(const char *, struct stat *);
	int (*open)(const char *, int, ...);
	int (*close)(int);
	int (*unlink)(const char *);
};

static int do_lseek(struct side *s)
{
	return s->lseek(s->fd, 100, SEEK_SET) == 100;
}
static int do_pread(struct side *s)
{
	return s->pread(s->fd, block, sizeof(block), 0) == sizeof(block);
}
static int do_pwrite(struct side *s)
{
	return s->pwrite(s->fd, block, sizeof(block), 0) == sizeof(block);
}
static int do_stat(struct side *s)
{
	struct stat st;

	return s->stat(s->file, &st) == 0;
}
static int do_open(struct side *s)
{
	int fd = s->open(s->file, O_RDONLY);

	return fd >= 0 && s->close(fd) == 0;
}
static int do_create(struct side *s)
{
	int fd = s->open(s->fresh, O_CREAT | O_EXCL | O_RDWR, 0644);

	return fd >= 0 && s->close(fd) == 0 && s->unlink(s->fresh) == 0;
}

static int bare_pread(void)
{
	d_iov_t iov = {block, sizeof(block), sizeof(block)};
	d_sg_list_t sgl = {1, 0, &iov};
	uint64_t n = 0;

	return bare.read(dfs, file, &sgl, 0, &n, NULL) == 0 && n == sizeof(block);
}
static int bare_pwrite(void)
{
	d_iov_t iov = {block, sizeof(block), sizeof(block)};
	d_sg_list_t sgl = {1, 0, &iov};

	return bare.write(dfs, file, &sgl, 0, NULL) == 0;
}
static int bare_stat(void)
{
	dfs_obj_t *o;
	struct stat st;
	mode_t mode;

	return bare.lookup_rel(dfs, dir, "file", O_RDONLY | O_NOFOLLOW, &o, &mode, &st) == 0 && bare.release(o) == 0;
}
static int bare_open(void)
{
	dfs_obj_t *o;
	struct stat st;
	mode_t mode;

	return bare.lookup_rel(dfs, dir, "file", O_RDWR | O_NOFOLLOW, &o, &mode, &st) == 0 && bare.release(o) == 0;
}
static int bare_create(void)
{
	dfs_obj_t *o;

	return bare.open(dfs, dir, "bare", S_IFREG | 0644, O_CREAT | O_EXCL | O_RDWR, 0, 0, NULL, &o) == 0 &&
	       bare.release(o) == 0 && bare.remove(dfs, dir, "bare", false, NULL) == 0;
}

static const struct {
	const char *name;
	int (*call)(struct side *);
	int (*bare)(void);
	int batch;
} table[] = {
	{"lseek", do_lseek, NULL, 2000},
	{"pread 4 KiB", do_pread, bare_pread, 1000},
	{"pwrite 4 KiB", do_pwrite, bare_pwrite, 500},
	{"stat", do_stat, bare_stat, 1000},
	{"open+close", do_open, bare_open, 500},
	{"create+close+unlink", do_create, bare_create, 100},
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static double one_batch(int row, struct side *s, int batch)
{
	double start = now();
	int i;

	for (i = 0; i < batch; i++)
		if (!(s ? table[row].call(s) : table[row].bare())) {
			fprintf(stderr, "bench: %s failed\n", table[row].name);
			die("bench");
		}
	return (now() - start) / batch;
}

static int ascending(const void *a, const void *b)
{
	double d = *(const double *)a - *(const double *)b;

	return (d > 0) - (d < 0);
}

static double median(double *v, int n)
{
	qsort(v, n, sizeof(*v), ascending);
	return v[n / 2];
}

static void set_up(struct side *s, const char *where, void *libc)
{
	snprintf(s->file, sizeof(s->file), "%s/file", where);
	snprintf(s->fresh, sizeof(s->fresh), "%s/fresh", where);
	s->pread = libc ? symbol(libc, "pread") : pread;
	s->pwrite = libc ? symbol(libc, "pwrite") : pwrite;
	s->lseek = libc ? symbol(libc, "lseek") : lseek;
	s->stat = libc ? symbol(libc, "stat") : stat;
	s->open = libc ? symbol(libc, "open") : open;
	s->close = libc ? symbol(libc, "close") : close;
	s->unlink = libc ? symbol(libc, "unlink") : unlink;
	s->fd = open(s->file, O_CREAT | O_RDWR, 0644);
	if (s->fd < 0 || write(s->fd, block, sizeof(block)) != sizeof(block))
		die(s->file);
}

int main(int argc, char **argv)
{
	static double v[4][ROUNDS_MAX];
	struct side export_side, site_side, kernel_side;
	bool bare_too = getenv("PIL4DFS_DAOS_DIR") != NULL;
	int rounds, divide, r, row, k;

	if (argc != 5) {
		fprintf(stderr, "usage: bench MOUNT_DIR KERNEL_DIR ROUNDS DIVIDE\n");
		return 2;
	}
	rounds = atoi(argv[3]) < ROUNDS_MAX ? atoi(argv[3]) : ROUNDS_MAX;
	divide = atoi(argv[4]);
	if (bare_too && mkdir(argv[1], 0755))
		die(argv[1]);
	set_up(&kernel_side, argv[2], dlopen("libc.so.6", RTLD_NOW));
	if (bare_too) {
		set_up(&export_side, argv[1], NULL);
		set_up(&site_side, argv[1], dlopen("libc.so.6", RTLD_NOW));
		connect_bare(strrchr(argv[1], '/') + 1);
	}
	for (row = 0; row < (int)(sizeof(table) / sizeof(*table)); row++) {
		int batch = table[row].batch / divide > 0 ? table[row].batch / divide : 1;
		bool ours[4] = {bare_too, bare_too, bare_too && table[row].bare, true};
		struct side *sides[4] = {&export_side, &site_side, NULL, &kernel_side};

		for (r = 0; r < rounds; r++)
			for (k = 0; k < 4; k++)
				if (ours[k])
					v[k][r] = one_batch(row, sides[k], batch);
		printf("%s", table[row].name);
		for (k = 0; k < 4; k++) {
			if (ours[k])
				printf("\t%.1f", median(v[k], rounds));
			else
				printf("\t-");
		}
		printf("\n");
	}
	return 0;
}
