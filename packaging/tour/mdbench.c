/* A small metadata benchmark: each rank creates, writes, stats, reads and removes files in a directory
 * of its own, then rank 0 counts what is left. Prints counts only, so that two runs can be compared. */
#include <dirent.h>
#include <fcntl.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void must(int ok, const char *what)
{
	if (!ok) {
		perror(what);
		MPI_Abort(MPI_COMM_WORLD, 1);
	}
}

static int entries(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int n = 0;

	must(d != NULL, dir);
	while ((e = readdir(d)) != NULL)
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

int main(int argc, char **argv)
{
	char dir[4096], path[5000], buf[64], back[64];
	int rank, size, n, i, fd, good = 0, total = 0;
	struct stat st;

	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	MPI_Comm_size(MPI_COMM_WORLD, &size);
	must(argc == 3, "usage: mdbench DIR FILES");
	n = atoi(argv[2]);
	snprintf(dir, sizeof(dir), "%s/rank%d", argv[1], rank);
	must(mkdir(dir, 0755) == 0, dir);
	for (i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/f%d", dir, i);
		snprintf(buf, sizeof(buf), "rank %d file %d\n", rank, i);
		fd = open(path, O_CREAT | O_EXCL | O_RDWR, 0644);
		must(fd >= 0, path);
		must(write(fd, buf, strlen(buf)) == (ssize_t)strlen(buf), "write");
		must(fstat(fd, &st) == 0 && st.st_size == (off_t)strlen(buf), "fstat");
		close(fd);
	}
	MPI_Barrier(MPI_COMM_WORLD);
	/* the neighbour's files, written by another process */
	snprintf(dir, sizeof(dir), "%s/rank%d", argv[1], (rank + 1) % size);
	for (i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/f%d", dir, i);
		snprintf(buf, sizeof(buf), "rank %d file %d\n", (rank + 1) % size, i);
		memset(back, 0, sizeof(back));
		fd = open(path, O_RDONLY);
		must(fd >= 0, path);
		good += read(fd, back, sizeof(back)) == (ssize_t)strlen(buf) && strcmp(buf, back) == 0;
		close(fd);
	}
	MPI_Barrier(MPI_COMM_WORLD);
	snprintf(dir, sizeof(dir), "%s/rank%d", argv[1], rank);
	must(entries(dir) == n, "entries");
	for (i = 0; i < n; i += 2) {
		snprintf(path, sizeof(path), "%s/f%d", dir, i);
		must(unlink(path) == 0, path);
	}
	must(entries(dir) == n / 2, "entries after unlink");
	MPI_Reduce(&good, &total, 1, MPI_INT, MPI_SUM, 0, MPI_COMM_WORLD);
	if (rank == 0)
		printf("%d ranks, %d files each, %d read back right\n", size, n, total);
	MPI_Finalize();
	return 0;
}
