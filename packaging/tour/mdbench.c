/*
 * A small metadata benchmark of the mdtest kind: each rank makes, stats, reads
 * and removes files in its own and in its neighbour's directory. Prints counts
 * only, so that two runs can be compared byte for byte.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int rank, size, errors;

static void must(int ok, const char *what, const char *path)
{
	if (ok)
		return;
	fprintf(stderr, "rank %d: %s %s: %s\n", rank, what, path,
		strerror(errno));
	errors++;
}

static void report(const char *phase, long mine)
{
	long all = 0;

	MPI_Reduce(&mine, &all, 1, MPI_LONG, MPI_SUM, 0, MPI_COMM_WORLD);
	if (rank == 0) {
		printf("%-8s %ld\n", phase, all);
		fflush(stdout);
	}
	MPI_Barrier(MPI_COMM_WORLD);
}

int main(int argc, char **argv)
{
	char path[4096], text[64];
	long count = argc > 2 ? atol(argv[2]) : 100, done = 0, total = 0;
	struct stat st;
	int neighbour;

	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	MPI_Comm_size(MPI_COMM_WORLD, &size);
	neighbour = (rank + 1) % size;

	snprintf(path, sizeof(path), "%s/rank%d", argv[1], rank);
	must(mkdir(path, 0755) == 0, "mkdir", path);
	for (long i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "%s/rank%d/f%ld", argv[1], rank,
			 i);
		int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
		int len = snprintf(text, sizeof(text), "rank %d file %ld", rank,
				   i);

		must(fd >= 0, "open", path);
		must(write(fd, text, len) == len, "write", path);
		must(close(fd) == 0, "close", path);
		done++;
	}
	report("create", done);

	done = 0;
	for (long i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "%s/rank%d/f%ld", argv[1],
			 neighbour, i);
		must(stat(path, &st) == 0, "stat", path);
		total += st.st_size;
		done++;
	}
	report("stat", done);
	report("bytes", total);

	done = 0;
	for (long i = 0; i < count; i++) {
		char want[64];
		int len = snprintf(want, sizeof(want), "rank %d file %ld",
				   neighbour, i);

		snprintf(path, sizeof(path), "%s/rank%d/f%ld", argv[1],
			 neighbour, i);
		int fd = open(path, O_RDONLY);

		must(fd >= 0, "open", path);
		done += read(fd, text, sizeof(text)) == len &&
			memcmp(text, want, len) == 0;
		close(fd);
	}
	report("read", done);

	/* One shared file, every rank its stripe. */
	snprintf(path, sizeof(path), "%s/shared", argv[1]);
	int fd = open(path, O_RDWR | O_CREAT, 0644);

	must(fd >= 0, "open", path);
	done = 0;
	for (long i = 0; i < count; i++) {
		memset(text, 'a' + rank, sizeof(text));
		done += pwrite(fd, text, sizeof(text),
			       (i * size + rank) * (off_t)sizeof(text)) ==
			(ssize_t)sizeof(text);
	}
	report("stripes", done);
	must(fstat(fd, &st) == 0, "fstat", path);
	report("size", st.st_size);
	close(fd);

	done = 0;
	snprintf(path, sizeof(path), "%s/rank%d", argv[1], neighbour);
	DIR *dir = opendir(path);

	must(dir != NULL, "opendir", path);
	while (dir && readdir(dir))
		done++;
	if (dir)
		closedir(dir);
	report("readdir", done);

	done = 0;
	for (long i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "%s/rank%d/f%ld", argv[1],
			 neighbour, i);
		must(unlink(path) == 0, "unlink", path);
		done++;
	}
	report("unlink", done);
	snprintf(path, sizeof(path), "%s/rank%d", argv[1], neighbour);
	must(rmdir(path) == 0, "rmdir", path);
	report("errors", errors);
	MPI_Finalize();
	return errors != 0;
}
