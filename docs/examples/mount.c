/*
 * Mounts a container where nothing is, uses it with the usual calls, and unmounts it:
 *
 *     ./mount POOL CONTAINER
 */
#include <pil4dfs.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define POINT "/data"

int main(int argc, char **argv)
{
	char reason[512];
	FILE *file;
	int error;

	if (argc != 3) {
		fprintf(stderr, "usage: mount POOL CONTAINER\n");
		return 2;
	}
	/* Before the program starts threads: this may patch libc. */
	error = pil4dfs_mount(argv[1], argv[2], POINT, 0);
	if (error) {
		pil4dfs_reason(reason, sizeof(reason));
		fprintf(stderr, "cannot mount: %s (%s)\n", strerror(-error), reason);
		return 1;
	}
	mkdir(POINT "/results", 0755);
	file = fopen(POINT "/results/first", "w");
	if (!file) {
		perror(POINT "/results/first");
		return 1;
	}
	fprintf(file, "42\n");
	printf("the file is %s\n", pil4dfs_owns(fileno(file)) ? "on DAOS" : "somewhere else");
	error = pil4dfs_unmount(POINT, 0);
	printf("unmount while it is open: %s\n", strerror(-error));
	fclose(file);
	error = pil4dfs_unmount(POINT, 0);
	printf("and then: %s\n", error ? strerror(-error) : "done");
	return error != 0;
}
