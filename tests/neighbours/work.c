/*
 * Ordinary work below a directory, its results printed: what a neighbour in the process must not
 * change. Allocates enough for malloc to map and unmap, in several threads.
 */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef WITH_MPI
#include <mpi.h>
#endif

#define THREADS 3
#define ROUNDS 8

static char path[512];

static const char *in(const char *dir, const char *name)
{
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void must(int ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

/* Each thread writes and reads back a file of its own, through buffers that malloc maps. */
static void *churn(void *arg)
{
	const char *name = arg;
	unsigned long sum = 0;

	for (int i = 0; i < ROUNDS; i++) {
		size_t size = 100 + (size_t)i * 50021;
		char *out = malloc(size), *back = malloc(size);
		int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);

		must(fd >= 0 && out && back, name);
		memset(out, 'a' + i % 26, size);
		must(write(fd, out, size) == (ssize_t)size, "write");
		must(pread(fd, back, size, 0) == (ssize_t)size, "pread");
		must(memcmp(out, back, size) == 0, "compare");
		sum += (unsigned char)back[size - 1] + size;
		close(fd);
		free(out);
		free(back);
	}
	return (void *)sum;
}

static void threads(const char *dir)
{
	pthread_t thread[THREADS];
	char name[THREADS][512];
	void *sum;

	for (int i = 0; i < THREADS; i++) {
		snprintf(name[i], sizeof(name[i]), "%s/thread%d", dir, i);
		must(pthread_create(&thread[i], NULL, churn, name[i]) == 0,
		     "thread");
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(thread[i], &sum);
		printf("thread %lu\n", (unsigned long)sum);
	}
}

static void files(const char *dir)
{
	char byte, line[64];
	struct stat st;
	FILE *file = fopen(in(dir, "text"), "w");
	int fd;

	must(file != NULL, "fopen");
	for (int i = 0; i < 2000; i++)
		fprintf(file, "line %d\n", i);
	must(fclose(file) == 0, "fclose");
	must(stat(in(dir, "text"), &st) == 0, "stat");
	printf("size %ld\n", (long)st.st_size);
	file = fopen(path, "r");
	must(file && fseek(file, -10, SEEK_END) == 0 &&
		     fgets(line, sizeof(line), file),
	     "fgets");
	printf("end %s", line);
	fclose(file);
	fd = open(path, O_RDONLY);
	must(fd >= 0 && read(fd, line, 5) == 5, "read");
	printf("head %.5s\n", line);
	const char *map =
		mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	must(map != MAP_FAILED, "mmap");
	printf("mapped %.6s\n", map + 7);
	munmap((void *)map, (size_t)st.st_size);
	close(fd);
	/* libc maps this one itself, if it can. */
	file = fopen(path, "rm");
	must(file && fseek(file, 7, SEEK_SET) == 0 &&
		     fgets(line, sizeof(line), file),
	     "fgets of a mapped stream");
	printf("mapped stream %s", line);
	fclose(file);
	/* And a file of the kernel's. */
	fd = open("/dev/zero", O_RDONLY);
	must(fd >= 0 && read(fd, &byte, 1) == 1 && byte == 0, "zero");
	close(fd);
	printf("none %d\n", access(in(dir, "none"), F_OK));
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void names(const char *dir)
{
	struct dirent **list;
	char from[600], line[64];
	FILE *child;
	int n;

	snprintf(from, sizeof(from), "%s", in(dir, "text"));
	must(rename(from, in(dir, "renamed")) == 0, "rename");
	must(mkdir(in(dir, "d"), 0755) == 0, "mkdir");
	n = scandir(dir, &list, NULL, by_name);
	for (int i = 0; i < n; i++) {
		printf("name %s\n", list[i]->d_name);
		free(list[i]);
	}
	free(list);
	snprintf(from, sizeof(from), "tail -n 1 %s", in(dir, "renamed"));
	fflush(stdout);
	child = popen(from, "r");
	must(child && fgets(line, sizeof(line), child), "popen");
	printf("child %s", line);
	printf("status %d\n", pclose(child));
}

int main(int argc, char **argv)
{
	char dir[256];
	int rank = 0;

	must(argc == 2, "usage: work DIR");
#ifdef WITH_MPI
	char sent[1 << 16] = "ping", got[1 << 16];
	int other;

	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	other = rank ^ 1;
	MPI_Sendrecv(sent, sizeof(sent), MPI_CHAR, other, 1, got, sizeof(got),
		     MPI_CHAR, other, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
	must(strcmp(got, "ping") == 0, "sendrecv");
#endif
	mkdir(argv[1], 0755);
	snprintf(dir, sizeof(dir), "%s/%d", argv[1], rank);
	must(mkdir(dir, 0755) == 0, "mkdir");
	if (rank == 1)
		must(freopen("/dev/null", "w", stdout) != NULL, "freopen");
	files(dir);
	threads(dir);
	names(dir);
	fflush(stdout);
#ifdef WITH_MPI
	MPI_Barrier(MPI_COMM_WORLD);
	MPI_Finalize();
#endif
	return 0;
}
