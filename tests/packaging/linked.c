/* A program that links the library: the header's functions answer, and calls below no mount stay the kernel's. */
#include <pil4dfs.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(void)
{
	if (strcmp(pil4dfs_version(), PIL4DFS_EXPECTED) != 0) {
		fprintf(stderr, "version %s, expected %s\n", pil4dfs_version(), PIL4DFS_EXPECTED);
		return 1;
	}
	if (pil4dfs_active() != 0 || pil4dfs_owns(0) != 0 || pil4dfs_owns(-1) != 0) {
		fprintf(stderr, "active without a mount, or owner of descriptors it never opened\n");
		return 1;
	}
	return access("/", F_OK) != 0;
}
