/*
 * One side of the comparison of ways to the same files: names, attributes and data, each a loop.
 *
 *     compare posix|bare DIR
 *
 * DIR holds "file" of 16 MiB, a tree DEEP of directories, and WIDE ones beside each other with a file in each. "bare" makes the dfs_* calls of bare.c, on the container of D_IL_POOL and
 * D_IL_CONTAINER, in the directory of its root that DIR ends in. Prints operation and nanoseconds a call.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bare.h"
#include "side.h"

#define FILES 300
#define SMALL 1000
#define LARGE 48

static char large[LARGE_BLOCK];
static int fd = -1;

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

static bool posix_mkdir(int i)
{
	return !mkdir(names[i], 0755) && !rmdir(names[i]);
}

static bool posix_deep(int i)
{
	struct stat st;

	(void)i;
	return !stat(DEEP "/file", &st);
}

static const char *in_wide(int i, const char *name)
{
	static char path[64];

	snprintf(path, sizeof(path), "wide/%d/%s", i % WIDE, name);
	return path;
}

static bool posix_wide(int i)
{
	struct stat st;

	return !stat(in_wide(i, "file"), &st);
}

static bool posix_spread(int i)
{
	int made = open(in_wide(i, names[i]), O_CREAT | O_EXCL | O_RDWR, 0644);

	return made >= 0 && !close(made) && !unlink(in_wide(i, names[i]));
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
	{"mkdir+rmdir", FILES, posix_mkdir, bare_mkdir},
	{"create+close", FILES, posix_create, bare_create},
	{"stat", FILES, posix_stat, bare_stat_of},
	{"open+close", FILES, posix_open, bare_open_of},
	{"stat, 6 deep", FILES, posix_deep, bare_deep},
	{"stat, 50 directories", FILES, posix_wide, bare_wide},
	{"create+unlink, 50 directories", FILES, posix_spread, bare_spread},
	{"readdir of 300", 10, posix_list, bare_list},
	{"read 4 KiB", SMALL, posix_pread, bare_pread},
	{"write 4 KiB", SMALL, posix_pwrite, bare_pwrite},
	{"read 1 MiB", LARGE, posix_large_read, bare_large_read},
	{"write 1 MiB", LARGE, posix_large_write, bare_large_write},
	{"unlink", FILES, posix_unlink, bare_unlink},
};

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
	make_up_names();
	memset(large, 'x', sizeof(large));
	if (bare) {
		bare_connect(strrchr(argv[2], '/') + 1);
		bare_trees();
	} else if (chdir(argv[2]) || (fd = open("file", O_RDWR)) < 0) {
		die(argv[2]);
	}
	for (row = table; row < table + sizeof(table) / sizeof(*table); row++) {
		double start = now();

		for (i = 0; i < row->calls; i++)
			if (!(bare ? row->bare(i) : row->posix(i)))
				die(row->name);
		printf("%s\t%.1f\n", row->name, (now() - start) / row->calls);
	}
	return 0;
}
