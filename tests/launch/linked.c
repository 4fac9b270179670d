/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * linked PATH: a program that is linked with the library says what it sees: whether the kernel
 * gave it other rights (AT_SECURE), whether the library is active, whether PATH is there, what
 * becomes of a write to descriptor 5, and whether it has a working directory.
 */
#include <fcntl.h>
#include <limits.h>
#include <pil4dfs.h>
#include <stdio.h>
#include <sys/auxv.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char cwd[PATH_MAX];

	(void)argc;
	printf("secure %d, active %d", getauxval(AT_SECURE) != 0,
	       pil4dfs_active());
	printf(", there %d", access(argv[1], F_OK) == 0);
	printf(", written %d", write(5, "+\n", 2) == 2);
	printf(", cwd %s\n", getcwd(cwd, sizeof(cwd)) ? cwd : "none");
	return 0;
}
