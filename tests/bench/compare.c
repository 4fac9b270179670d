/*
 * One side of the comparison of ways to the same files: names, attributes and data, each a loop.
 *
 *     compare posix|bare DIR
 *
 * DIR holds "file" of 16 MiB. "bare" makes the dfs_* calls of bare.c, on the container of D_IL_POOL and
 * D_IL_CONTAINER, in the directory of its root that DIR ends in. Prints operation and nanoseconds a call.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bare.h"
#include "side.h"

#define FILES 300
#define SMALL 1000
#define LARGE 48

char block[BLOCK];
char names[NAMES][16];
static char large[LARGE_BLOCK];
static int fd = -1;

void die(const char *what)
{
	fprintf(stderr, "compare: %s: %s\n", what, strerror(errno));
	exit(1);
}

void *symbol(void *lib, const char *name)
{
	void *p = dlsym(lib, name);

	if (!p)
		die(name);
	return p;
}

static bool posix_create(int i)
{
	int made = open(names[i], O_CREAT | O_EXCL | O_RDWR, 0644);

	return made >= 0 && !close(made);
}

static bool posix_stat(int i)
{
	struct stat st;

	return !stat(names[i], &st);
}

static bool posix_open(int i)
{
	int one = open(names[i], O_RDONLY);

	return one >= 0 && !close(one);
}

static bool posix_list(int i)
{
	DIR *dir = opendir(".");
	int seen = 0;

	(void)i;
	while (dir && readdir(dir))
		seen++;
	return dir && !closedir(dir) && seen >= FILES;
}

static bool posix_unlink(int i)
{
	return !unlink(names[i]);
}

static bool posix_pread(int i)
{
	return pread(fd, block, BLOCK, (off_t)(i % 4096) * BLOCK) == BLOCK;
}

static bool posix_pwrite(int i)
{
	return pwrite(fd, block, BLOCK, (off_t)(i % 4096) * BLOCK) == BLOCK;
}

static bool posix_large_read(int i)
{
	return pread(fd, large, LARGE_BLOCK, (off_t)(i % 16) * LARGE_BLOCK) == LARGE_BLOCK;
}

static bool posix_large_write(int i)
{
	return pwrite(fd, large, LARGE_BLOCK, (off_t)(i % 16) * LARGE_BLOCK) == LARGE_BLOCK;
}

static const struct row {
	const char *name;
	int calls;
	bool (*posix)(int), (*bare)(int);
} table[] = {
	{"create+close", FILES, posix_create, bare_create},
	{"stat", FILES, posix_stat, bare_stat_of},
	{"open+close", FILES, posix_open, bare_open_of},
	{"readdir of 300", 10, posix_list, bare_list},
	{"read 4 KiB", SMALL, posix_pread, bare_pread},
	{"write 4 KiB", SMALL, posix_pwrite, bare_pwrite},
	{"read 1 MiB", LARGE, posix_large_read, bare_large_read},
	{"write 1 MiB", LARGE, posix_large_write, bare_large_write},
	{"unlink", FILES, posix_unlink, bare_unlink},
};

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e9 + ts.tv_nsec;
}

int main(int argc, char **argv)
{
	const struct row *row;
	bool bare;
	int i;

	if (argc < 3) {
		fprintf(stderr, "usage: compare posix|bare DIR\n");
		return 2;
	}
	bare = !strcmp(argv[1], "bare");
	for (i = 0; i < NAMES; i++)
		snprintf(names[i], sizeof(names[i]), "n%d", i);
	memset(large, 'x', sizeof(large));
	if (bare)
		bare_connect(strrchr(argv[2], '/') + 1);
	else if (chdir(argv[2]) || (fd = open("file", O_RDWR)) < 0)
		die(argv[2]);
	for (row = table; row < table + sizeof(table) / sizeof(*table); row++) {
		double start = now();

		for (i = 0; i < row->calls; i++)
			if (!(bare ? row->bare(i) : row->posix(i)))
				die(row->name);
		printf("%s\t%.1f\n", row->name, (now() - start) / row->calls);
	}
	return 0;
}
