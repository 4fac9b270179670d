/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * forks WAY ROUNDS [PATH [FILES]]: microseconds for a child, lowest tenth and median of the
 * rounds. WAY: exit (fork and _exit), use (the child looks at PATH), exec (/bin/true).
 * PATH is looked at before; FILES descriptors of it are open.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	const char *way = argv[1], *path = argc > 3 ? argv[3] : NULL;
	int rounds = atoi(argv[2]), files = argc > 4 ? atoi(argv[4]) : 0;
	double *took = calloc(rounds, sizeof(*took));
	struct stat st;

	if (path)
		close(open(path, O_WRONLY | O_CREAT, 0644));
	for (int i = 0; i < files; i++)
		if (open(path, O_RDWR) < 0)
			return 1;
	for (int i = 0; i < rounds; i++) {
		double start = now();
		int status = 1;
		pid_t pid = fork();

		if (pid == 0) {
			if (way[1] == 's')
				_exit(stat(path, &st) != 0);
			if (way[2] == 'e')
				execl("/bin/true", "true", (char *)NULL);
			_exit(0);
		}
		if (waitpid(pid, &status, 0) != pid || status != 0)
			return 1;
		took[i] = now() - start;
	}
	qsort(took, rounds, sizeof(*took), ascending);
	printf("%.0f %.0f\n", took[rounds / 10], took[rounds / 2]);
	return 0;
}
