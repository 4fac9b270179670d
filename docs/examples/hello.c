/*
 * A program that knows nothing of DAOS. Linked with the library, it serves itself below the mounts
 * that D_IL_POOL, D_IL_CONTAINER and D_IL_MOUNT_POINT (or dfuse) name:
 *
 *     ./hello /dfs/greeting
 */
#include <stdio.h>

int main(int argc, char **argv)
{
	char line[80] = "";
	FILE *file;

	if (argc != 2) {
		fprintf(stderr, "usage: hello FILE\n");
		return 2;
	}
	file = fopen(argv[1], "w+");
	if (!file || fputs("hello\n", file) == EOF) {
		perror(argv[1]);
		return 1;
	}
	rewind(file);
	if (fgets(line, sizeof(line), file))
		fputs(line, stdout);
	return fclose(file) != 0;
}
