/*
 * What did the library do? Copies a file into DAOS and counts:
 *
 *     ./statistics POOL CONTAINER FILE
 */
#include <inttypes.h>
#include <pil4dfs.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	struct pil4dfs_stats stats = { .size = sizeof(stats) };
	char block[4096];
	FILE *from, *to;
	size_t n;
	int error;

	if (argc != 4) {
		fprintf(stderr, "usage: statistics POOL CONTAINER FILE\n");
		return 2;
	}
	error = pil4dfs_mount(argv[1], argv[2], "/data", 0);
	if (error) {
		fprintf(stderr, "cannot mount: %s\n", strerror(-error));
		return 1;
	}
	from = fopen(argv[3], "r");
	to = fopen("/data/copy", "w");
	if (!from || !to) {
		perror(from ? "/data/copy" : argv[3]);
		return 1;
	}
	while ((n = fread(block, 1, sizeof(block), from)) > 0)
		fwrite(block, 1, n, to);
	fclose(from);
	fclose(to);
	error = pil4dfs_statistics(&stats);
	if (error)
		return 1;
	printf("bytes written: %" PRIu64 "\n", stats.bytes_written);
	printf("calls failed: %" PRIu64 "\n", stats.errors);
	fprintf(stderr, "%" PRIu64 " calls, %" PRIu64 " calls of libdfs, start %.3f ms, connect %.3f ms\n",
		stats.calls, stats.dfs_calls, stats.daos_start_ns / 1e6, stats.daos_connect_ns / 1e6);
	return 0;
}
