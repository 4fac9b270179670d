/*
 * Random histories of several processes in lock-step. The same seed on a kernel
 * directory and on a mount must print the same lines and leave the same tree.
 *
 *	history DIR apart SEED STEPS	makes a history; the workers share only
 *					files that nobody removes or renames
 *	history DIR together SEED STEPS	all names are everybody's
 *					(HISTORY_KEEP=1011.. leaves steps out)
 *	history DIR check		looks whether every byte is where it says
 *	history DIR sweep		lets what dead processes left be removed
 */
#include "history.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char top[PATH_MAX], home[PATH_MAX];
bool together;
int workers, me, slots[SLOTS];

/* The first open file of a process that loses its name looks for leftovers. */
static int sweep(void)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%.3000s/sweeper", top);
	int fd = open(path, O_RDWR | O_CREAT, 0600);

	return fd < 0 || unlink(path) != 0 || close(fd) != 0;
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	snprintf(top, sizeof(top), "%s", argv[1]);
	umask(022);
	together = strstr(argv[2], "together") != NULL;
	if (strncmp(argv[2], "worker-", 7) == 0 && argc == 5 + SLOTS)
		return work_again(argv);
	if (strcmp(argv[2], "check") == 0)
		return check_tree(top) != 0;
	if (strcmp(argv[2], "sweep") == 0)
		return sweep();
	if (argc == 5) {
		setenv("HISTORY_PROGRAM", argv[0], 1);
		return lead(strtoull(argv[3], NULL, 10), atoi(argv[4]));
	}
	return 2;
}
