/*
 * What the library adds, measured inside one process: each operation through the library's exports, through
 * libc's own patched functions (sites), as the bare dfs_* calls on handles of our own, and on a kernel
 * directory - in turns, so that drift hits all of them.
 *
 *     bench MOUNT_DIR KERNEL_DIR ROUNDS DIVIDE [ROW]
 *
 * MOUNT_DIR lies below a mount of D_IL_POOL/D_IL_CONTAINER; run by tests/bench/run. Prints one line an
 * operation: name, then the nanoseconds (lowest tenth) of export, site, bare and kernel; "-" where there is none.
 * DIVIDE makes the batches smaller. Under callgrind (--collect-atstart=no) each batch of a side is dumped
 * under the name "row/side/calls"; every side runs once before, to warm up.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#define CALLGRIND_ZERO_STATS
#define CALLGRIND_TOGGLE_COLLECT
#define CALLGRIND_DUMP_STATS_AT(name) (void)(name)
#endif

#include "bare.h"
#include "side.h"

#define ROUNDS_MAX 101
#define BLOCKS 1000
#define LISTED 100

/* One side of a comparison: descriptor and paths on one file system, and which libc functions to use. */
struct side {
	int fd, dir;
	char file[4096], deep[4096], list[4096], missing[4096], fresh[NAMES][128];
	ssize_t (*read)(int, void *, size_t);
	ssize_t (*write)(int, const void *, size_t);
	ssize_t (*pread)(int, void *, size_t, off_t);
	ssize_t (*pwrite)(int, const void *, size_t, off_t);
	off_t (*lseek)(int, off_t, int);
	int (*stat)(const char *, struct stat *);
	int (*fstat)(int, struct stat *);
	int (*open)(const char *, int, ...);
	int (*close)(int);
	int (*unlink)(const char *);
};

static bool do_lseek(struct side *s, int i)
{
	return s->lseek(s->fd, i, SEEK_SET) == i;
}

static bool do_size(struct side *s, int i)
{
	(void)i;
	return s->lseek(s->fd, 0, SEEK_END) == BLOCKS * BLOCK;
}

static bool do_read(struct side *s, int i)
{
	(void)i;
	return s->read(s->fd, block, BLOCK) == BLOCK;
}

static bool do_write(struct side *s, int i)
{
	(void)i;
	return s->write(s->fd, block, BLOCK) == BLOCK;
}

static bool do_pread(struct side *s, int i)
{
	(void)i;
	return s->pread(s->fd, block, BLOCK, 0) == BLOCK;
}

static bool do_pwrite(struct side *s, int i)
{
	(void)i;
	return s->pwrite(s->fd, block, BLOCK, 0) == BLOCK;
}

static bool do_fstat(struct side *s, int i)
{
	struct stat st;

	(void)i;
	return s->fstat(s->fd, &st) == 0;
}

static bool do_stat(struct side *s, int i)
{
	struct stat st;

	(void)i;
	return s->stat(s->file, &st) == 0;
}

static bool do_deep(struct side *s, int i)
{
	struct stat st;

	(void)i;
	return s->stat(s->deep, &st) == 0;
}

static bool do_missing(struct side *s, int i)
{
	struct stat st;

	(void)i;
	return s->stat(s->missing, &st) < 0;
}

static bool do_open(struct side *s, int i)
{
	int fd = s->open(s->file, O_RDONLY);

	(void)i;
	return fd >= 0 && s->close(fd) == 0;
}

static bool do_create(struct side *s, int i)
{
	int fd = s->open(s->fresh[i], O_CREAT | O_EXCL | O_RDWR, 0644);

	return fd >= 0 && s->close(fd) == 0;
}

static bool do_small(struct side *s, int i)
{
	int fd = s->open(s->fresh[i], O_CREAT | O_EXCL | O_WRONLY, 0644);

	return fd >= 0 && s->write(fd, block, BLOCK) == BLOCK && s->close(fd) == 0;
}

static bool do_unlink(struct side *s, int i)
{
	return s->unlink(s->fresh[i]) == 0;
}

static bool do_readdir(struct side *s, int i)
{
	DIR *d = opendir(s->list);
	int n = 0;

	(void)i;
	if (!d)
		return false;
	while (readdir(d))
		n++;
	return closedir(d) == 0 && n == LISTED + 2;
}

static bool do_stdio(struct side *s, int i)
{
	FILE *f = fopen(s->file, "r");
	int n = 0, c;

	(void)i;
	if (!f)
		return false;
	while (n < 65536 && (c = getc_unlocked(f)) != EOF)
		n++;
	return fclose(f) == 0 && n == 65536;
}

/* Before and after a batch, not measured. */
static bool rewind_file(struct side *s, int batch)
{
	(void)batch;
	return !s || s->lseek(s->fd, 0, SEEK_SET) == 0;
}

static bool make_names(struct side *s, int batch)
{
	int i;

	for (i = 0; i < batch; i++)
		if (!(s ? do_create(s, i) : bare_create(i)))
			return false;
	return true;
}

static bool remove_names(struct side *s, int batch)
{
	int i;

	for (i = 0; i < batch; i++)
		if (!(s ? do_unlink(s, i) : bare_unlink(i)))
			return false;
	return true;
}

static const struct row {
	const char *name;
	bool (*call)(struct side *, int);
	bool (*bare)(int);
	int batch;
	bool (*before)(struct side *, int);
	bool (*after)(struct side *, int);
} table[] = {
	{"lseek SEEK_SET", do_lseek, NULL, 2000, NULL, NULL},
	{"lseek SEEK_END", do_size, bare_size, 500, NULL, NULL},
	{"read 4 KiB", do_read, bare_read, BLOCKS, rewind_file, NULL},
	{"write 4 KiB", do_write, bare_write, BLOCKS, rewind_file, NULL},
	{"pread 4 KiB", do_pread, bare_pread, 1000, NULL, NULL},
	{"pwrite 4 KiB", do_pwrite, bare_pwrite, 1000, NULL, NULL},
	{"fstat", do_fstat, bare_fstat, 500, NULL, NULL},
	{"stat, 2 components", do_stat, bare_stat, 500, NULL, NULL},
	{"stat, 5 components", do_deep, bare_stat, 500, NULL, NULL},
	{"stat, ENOENT", do_missing, bare_missing, 500, NULL, NULL},
	{"open+close", do_open, bare_open, 500, NULL, NULL},
	{"create+close", do_create, bare_create, 100, NULL, remove_names},
	{"create+write 4 KiB+close", do_small, bare_small, 100, NULL, remove_names},
	{"unlink", do_unlink, bare_unlink, 100, make_names, NULL},
	{"opendir+readdir of 100+closedir", do_readdir, NULL, 50, NULL, NULL},
	{"fopen+getc of 64 KiB+fclose", do_stdio, NULL, 50, NULL, NULL},
};

static void failed(const struct row *row, const char *side)
{
	fprintf(stderr, "%s, %s: ", row->name, side);
	die("failed");
}

/* One batch of a row on a side (none: bare): nanoseconds a call. */
static double one_batch(const struct row *row, struct side *s, int batch, const char *side)
{
	double start, spent;
	char name[128];
	int i;

	if (row->before && !row->before(s, batch))
		failed(row, side);
	CALLGRIND_ZERO_STATS;
	CALLGRIND_TOGGLE_COLLECT;
	start = now();
	for (i = 0; i < batch; i++)
		if (!(s ? row->call(s, i) : row->bare(i)))
			failed(row, side);
	spent = now() - start;
	CALLGRIND_TOGGLE_COLLECT;
	snprintf(name, sizeof(name), "%s/%s/%d", row->name, side, batch);
	CALLGRIND_DUMP_STATS_AT(name);
	if (row->after && !row->after(s, batch))
		failed(row, side);
	return spent / batch;
}

static int ascending(const void *a, const void *b)
{
	double d = *(const double *)a - *(const double *)b;

	return (d > 0) - (d < 0);
}

/* What a tenth of the rounds stay below: other programs on the machine only ever add. */
static double low(double *v, int n)
{
	qsort(v, n, sizeof(*v), ascending);
	return v[n / 10];
}

static void set_up(struct side *s, const char *where, void *libc)
{
	char path[4096];
	int i;

	snprintf(s->file, sizeof(s->file), "%s/file", where);
	snprintf(s->deep, sizeof(s->deep), "%s/d1/d2/d3/file", where);
	snprintf(s->list, sizeof(s->list), "%s/list", where);
	snprintf(s->missing, sizeof(s->missing), "%s/missing", where);
	make_up_names();
	for (i = 0; i < NAMES; i++)
		snprintf(s->fresh[i], sizeof(s->fresh[i]), "%.100s/n%d", where, i);
	s->read = libc ? symbol(libc, "read") : read;
	s->write = libc ? symbol(libc, "write") : write;
	s->pread = libc ? symbol(libc, "pread") : pread;
	s->pwrite = libc ? symbol(libc, "pwrite") : pwrite;
	s->lseek = libc ? symbol(libc, "lseek") : lseek;
	s->stat = libc ? symbol(libc, "stat") : stat;
	s->fstat = libc ? symbol(libc, "fstat") : fstat;
	s->open = libc ? symbol(libc, "open") : open;
	s->close = libc ? symbol(libc, "close") : close;
	s->unlink = libc ? symbol(libc, "unlink") : unlink;
	s->fd = open(s->file, O_CREAT | O_RDWR, 0644);
	for (i = 0; i < BLOCKS; i++)
		if (s->fd < 0 || pwrite(s->fd, block, BLOCK, (off_t)i * BLOCK) != BLOCK)
			die(s->file);
	for (i = 0; i < 4; i++) {
		static const char *const made[] = {"d1", "d1/d2", "d1/d2/d3", "list"};

		snprintf(path, sizeof(path), "%s/%s", where, made[i]);
		if (mkdir(path, 0755) && errno != EEXIST)
			die(path);
	}
	i = open(s->deep, O_CREAT | O_RDWR, 0644);
	if (i < 0 || pwrite(i, block, BLOCK, 0) != BLOCK || close(i)) /* as heavy for the provider as `file` */
		die(s->deep);
	for (i = 0; i < LISTED; i++) {
		snprintf(path, sizeof(path), "%.4000s/entry%d", s->list, i);
		close(open(path, O_CREAT | O_RDWR, 0644));
	}
}

int main(int argc, char **argv)
{
	static const char *const called[4] = {"export", "site", "bare", "kernel"};
	static struct side export_side, site_side, kernel_export, kernel_site;
	static double v[4][ROUNDS_MAX];
	const char *kernels = getenv("BENCH_KERNEL"); /* "site": libc's functions; default: exports */
	const char *only = getenv("BENCH_SIDE"); /* one of `called` */
	bool bare_too = getenv("PIL4DFS_DAOS_DIR") != NULL;
	int rounds, divide, r, k;
	const struct row *row;

	if (argc < 5) {
		fprintf(stderr, "usage: bench MOUNT_DIR KERNEL_DIR ROUNDS DIVIDE [ROW]\n");
		return 2;
	}
	rounds = atoi(argv[3]) < ROUNDS_MAX ? atoi(argv[3]) : ROUNDS_MAX;
	divide = atoi(argv[4]);
	if (bare_too && mkdir(argv[1], 0755))
		die(argv[1]);
	set_up(&kernel_export, argv[2], NULL);
	set_up(&kernel_site, argv[2], dlopen("libc.so.6", RTLD_NOW));
	if (bare_too) {
		set_up(&export_side, argv[1], NULL);
		set_up(&site_side, argv[1], dlopen("libc.so.6", RTLD_NOW));
		bare_connect(strrchr(argv[1], '/') + 1);
	}
	for (row = table; row < table + sizeof(table) / sizeof(*table); row++) {
		int fixed = getenv("BENCH_BATCH") ? atoi(getenv("BENCH_BATCH")) : 0;
		int batch = fixed ? fixed : row->batch / divide > 0 ? row->batch / divide : 1;
		struct side *on_kernel = kernels && !strcmp(kernels, "site") ? &kernel_site : &kernel_export;
		bool ours[4] = {bare_too, bare_too, bare_too && row->bare, true};
		struct side *sides[4] = {&export_side, &site_side, NULL, on_kernel};

		if (argc > 5 && strcmp(argv[5], row->name))
			continue;
		for (k = 0; k < 4 && only; k++)
			ours[k] &= !strcmp(only, called[k]);
		for (r = RUNNING_ON_VALGRIND ? -1 : 0; r < rounds; r++)
			for (k = 0; k < 4; k++)
				if (ours[k])
					v[k][r < 0 ? 0 : r] = one_batch(row, sides[k], batch, called[k]);
		printf("%s", row->name);
		for (k = 0; k < 4; k++) {
			if (ours[k])
				printf("\t%.1f", low(v[k], rounds));
			else
				printf("\t-");
		}
		printf("\n");
	}
	return 0;
}
