/*
 * Whether cost stays linear: many threads on files of their own, a large directory, many open files.
 *
 *     many threads DIR N SECONDS    N threads, each writing and reading 4 KiB of its own file; calls a second
 *     many create DIR N             makes N files; nanoseconds each
 *     many list DIR                 reads the directory; entries and nanoseconds each
 *     many stat DIR N               stat of N names; nanoseconds each
 *     many open DIR N               opens one file N times, then closes all; nanoseconds each (0: RLIMIT_NOFILE)
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char name[4096];
static atomic_bool stop;
static atomic_long calls;

static void die(const char *what)
{
	fprintf(stderr, "many: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static void *worker(void *argument)
{
	char buffer[4096] = "", path[8192];
	long done = 0;
	int fd;

	snprintf(path, sizeof(path), "%s/thread%ld", name, (long)argument);
	fd = open(path, O_CREAT | O_RDWR, 0644);
	if (fd < 0)
		die(path);
	while (!stop) {
		if (pwrite(fd, buffer, sizeof(buffer), 0) != sizeof(buffer) ||
		    pread(fd, buffer, sizeof(buffer), 0) != sizeof(buffer))
			die(path);
		done += 2;
	}
	calls += done;
	close(fd);
	return NULL;
}

static void threads(int n, double seconds)
{
	pthread_t *t = calloc(n, sizeof(*t));
	double start = now();
	long i;

	for (i = 0; i < n; i++)
		if (pthread_create(&t[i], NULL, worker, (void *)i))
			die("pthread_create");
	usleep(seconds * 1e6);
	stop = true;
	for (i = 0; i < n; i++)
		pthread_join(t[i], NULL);
	printf("%.0f\n", calls / (now() - start) * 1e9);
}

static void list(void)
{
	double start = now();
	DIR *d = opendir(name);
	long n = 0;

	if (!d)
		die(name);
	while (readdir(d))
		n++;
	closedir(d);
	printf("%ld\t%.0f\n", n, (now() - start) / n);
}

static void each(const char *what, int n)
{
	double start = now();
	char path[8192];
	struct stat st;
	int i;

	for (i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/f%d", name, i);
		if (what[0] == 's' ? stat(path, &st) : close(open(path, O_CREAT | O_EXCL | O_WRONLY, 0644)))
			die(path);
	}
	printf("%.0f\n", (now() - start) / n);
}

static void open_many(int n)
{
	int *fds = calloc(n, sizeof(*fds)), i;
	double start, opened, closed;
	struct rlimit limit;
	char path[8192];

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur < (rlim_t)n + 100) {
		printf("0\t0\n");
		return;
	}
	snprintf(path, sizeof(path), "%s/one", name);
	close(open(path, O_CREAT | O_WRONLY, 0644));
	start = now();
	for (i = 0; i < n; i++)
		if ((fds[i] = open(path, O_RDONLY)) < 0)
			die(path);
	opened = now();
	for (i = 0; i < n; i++)
		close(fds[i]);
	closed = now();
	printf("%.0f\t%.0f\n", (opened - start) / n, (closed - opened) / n);
}

int main(int argc, char **argv)
{
	int n = argc > 3 ? atoi(argv[3]) : 0;

	if (argc < 3)
		return 2;
	snprintf(name, sizeof(name), "%s", argv[2]);
	if (!strcmp(argv[1], "threads") && argc > 4)
		threads(n, atof(argv[4]));
	else if (!strcmp(argv[1], "list"))
		list();
	else if (!strcmp(argv[1], "open"))
		open_many(n);
	else if (!strcmp(argv[1], "stat") || !strcmp(argv[1], "create"))
		each(argv[1], n);
	else
		return 2;
	return 0;
}
