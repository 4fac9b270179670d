/*
 * What the ranks of a job do with files by themselves, one way a run:
 *
 *	ranks none			MPI_Init and nothing else: nobody touches a mount
 *	ranks touch DIR			every rank makes and reads one file
 *	ranks storm DIR COUNT		files and directories as mdtest makes them, each rank looking at its neighbour's
 *	ranks threads DIR		MPI_THREAD_MULTIPLE: threads that talk and write at once
 *	ranks die DIR COUNT		records, one rank killed in the middle of the others
 *	ranks check DIR COUNT RANKS	no MPI: what was acknowledged before the death is there
 *
 * Prints sums that depend on the number of ranks only.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <mpi.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define THREADS 3
#define RECORD 32

static int rank, size, wrong;
static const char *dir;

static int must(int ok, const char *what)
{
	if (ok)
		return 1;
	fprintf(stderr, "rank %d: %s: %s\n", rank, what, strerror(errno));
	__atomic_store_n(&wrong, 1, __ATOMIC_RELAXED);
	return 0;
}

static void sum(const char *phase, long mine)
{
	long all = 0;

	MPI_Reduce(&mine, &all, 1, MPI_LONG, MPI_SUM, 0, MPI_COMM_WORLD);
	if (rank == 0)
		printf("%s: %ld\n", phase, all);
	fflush(stdout);
	MPI_Barrier(MPI_COMM_WORLD);
}

static long names_in(const char *path)
{
	DIR *stream = opendir(path);
	struct dirent *entry;
	long n = 0;

	if (!must(stream != NULL, path))
		return 0;
	while ((entry = readdir(stream)))
		n += entry->d_name[0] != '.';
	closedir(stream);
	return n;
}

/* A file with `text` in it; true if it says so afterwards. */
static int write_file(const char *path, const char *text)
{
	size_t length = strlen(text);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
	int ok = must(fd >= 0, path) &&
		 must(write(fd, text, length) == (ssize_t)length, path);

	return must(fd < 0 || close(fd) == 0, path) && ok;
}

static int reads(const char *path, const char *text)
{
	char got[256] = "";
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, got, sizeof(got) - 1);

	if (fd >= 0)
		close(fd);
	errno = n < 0 ? errno : 0;
	return must(n >= 0 && strcmp(got, text) == 0, path);
}

static void touch(void)
{
	char path[4096], text[64];

	snprintf(path, sizeof(path), "%s/touched.%d", dir, rank);
	snprintf(text, sizeof(text), "by rank %d\n", rank);
	sum("touched", write_file(path, text) && reads(path, text));
}

static void storm(long count)
{
	char path[4096], other[4200], text[64];
	int next = (rank + 1) % size;
	struct stat st;
	long n = 0;

	/* One directory for all: only one rank's mkdir can win. */
	for (long i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "%s/race.%ld", dir, i);
		if (mkdir(path, 0755) == 0)
			n++;
		else
			must(errno == EEXIST, path);
	}
	sum("mkdir won", n);
	snprintf(path, sizeof(path), "%s/own.%d", dir, rank);
	must(mkdir(path, 0755) == 0, path);
	n = 0;
	for (long i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "%s/own.%d/d%ld", dir, rank, i);
		n += must(mkdir(path, 0755) == 0, path);
		snprintf(path, sizeof(path), "%s/own.%d/d%ld/f", dir, rank, i);
		snprintf(text, sizeof(text), "rank %d, file %ld\n", rank, i);
		n += write_file(path, text);
	}
	sum("made", n);
	n = 0;
	for (long i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "%s/own.%d/d%ld/f", dir, next, i);
		snprintf(text, sizeof(text), "rank %d, file %ld\n", next, i);
		n += must(stat(path, &st) == 0 &&
				  st.st_size == (off_t)strlen(text),
			  path) &&
		     reads(path, text);
	}
	snprintf(path, sizeof(path), "%s/own.%d", dir, next);
	sum("read of the neighbour", n);
	sum("listed", names_in(path) + names_in(dir));
	n = 0;
	for (long i = rank; i < count;
	     i += size) { /* every rank, in everybody's directory */
		for (int r = 0; r < size; r++) {
			snprintf(path, sizeof(path), "%s/own.%d/d%ld/f", dir, r,
				 i);
			snprintf(other, sizeof(other), "%s/own.%d/moved.%ld",
				 dir, r, i);
			n += must(rename(path, other) == 0, path);
		}
	}
	sum("renamed", n);
	n = 0;
	for (long i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "%s/own.%d/d%ld", dir, next, i);
		n += must(rmdir(path) == 0, path);
		if (i % 2 == 0)
			continue;
		snprintf(path, sizeof(path), "%s/own.%d/moved.%ld", dir, next,
			 i);
		n += must(unlink(path) == 0, path);
	}
	sum("removed", n);
	snprintf(path, sizeof(path), "%s/own.%d", dir, rank);
	sum("left", names_in(path));
}

/* Each thread talks to its twin on the next rank between its writes. */
static void *talk_and_write(void *argument)
{
	int me = (int)(long)argument, left = (rank + size - 1) % size, got;
	char path[4096], text[64];
	long fine = 0;

	for (int i = 0; i < 20; i++) {
		snprintf(path, sizeof(path), "%s/thread.%d.%d.%d", dir, rank,
			 me, i);
		snprintf(text, sizeof(text), "rank %d thread %d: %d\n", rank,
			 me, i);
		fine += write_file(path, text);
		MPI_Sendrecv(&i, 1, MPI_INT, (rank + 1) % size, me, &got, 1,
			     MPI_INT, left, me, MPI_COMM_WORLD,
			     MPI_STATUS_IGNORE);
		snprintf(path, sizeof(path), "%s/thread.%d.%d.%d", dir, left,
			 me, got);
		snprintf(text, sizeof(text), "rank %d thread %d: %d\n", left,
			 me, got);
		fine += reads(path, text);
	}
	return (void *)fine;
}

static void threads(int provided)
{
	pthread_t all[THREADS];
	long fine = 0;
	void *answer;

	if (provided != MPI_THREAD_MULTIPLE) {
		if (rank == 0)
			printf("no threads\n");
		return;
	}
	for (long i = 0; i < THREADS; i++)
		must(pthread_create(&all[i], NULL, talk_and_write, (void *)i) ==
			     0,
		     "pthread_create");
	for (int i = 0; i < THREADS; i++) {
		pthread_join(all[i], &answer);
		fine += (long)answer;
	}
	sum("by threads", fine);
}

static void record_of(char *to, int who, long i)
{
	memset(to, '.', RECORD);
	to[snprintf(to, RECORD, "rank %d record %ld", who, i)] = '.';
	to[RECORD - 1] = '\n';
}

/* Up to `count` records each, then rank 1 dies while the others go on until somebody ends them. */
static void die(long count)
{
	char path[4096], record[RECORD];
	int fd;

	snprintf(path, sizeof(path), "%s/records.%d", dir, rank);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
	must(fd >= 0, path);
	for (long i = 0;; i++) {
		record_of(record, rank, i);
		must(write(fd, record, RECORD) == RECORD, path);
		if (i == count) {
			fsync(fd);
			MPI_Barrier(MPI_COMM_WORLD);
			if (rank == 1)
				kill(getpid(), SIGKILL);
		}
		if (i > count)
			usleep(1000);
		if (i == count + 20000) /* nobody ends us */
			_exit(3);
	}
}

static int check(long count, int ranks)
{
	char path[4096], want[RECORD], got[RECORD];
	ssize_t n;

	for (rank = 0; rank < ranks; rank++) {
		long i = 0;
		int fd;

		snprintf(path, sizeof(path), "%s/records.%d", dir, rank);
		fd = open(path, O_RDONLY);
		must(fd >= 0, path);
		while ((n = read(fd, got, RECORD)) == RECORD) {
			record_of(want, rank, i++);
			errno = 0;
			must(memcmp(want, got, RECORD) == 0,
			     "a record that nobody wrote");
		}
		errno = 0;
		must(n == 0 && i > count, "records are missing");
		close(fd);
	}
	printf("%s\n", wrong ? "wrong" : "right");
	return wrong;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	long count = argc > 3 ? atol(argv[3]) : 0;
	int provided = MPI_THREAD_SINGLE;

	dir = argc > 2 ? argv[2] : ".";
	if (strcmp(what, "check") == 0)
		return check(count, argc > 4 ? atoi(argv[4]) : 0);
	if (strcmp(what, "threads") == 0)
		MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &provided);
	else
		MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	MPI_Comm_size(MPI_COMM_WORLD, &size);
	if (strcmp(what, "none") == 0) {
		sum("ranks", 1);
		MPI_Finalize();
		return 0;
	}
	if (rank == 0)
		must(mkdir(dir, 0755) == 0, dir);
	MPI_Barrier(MPI_COMM_WORLD);
	if (strcmp(what, "touch") == 0)
		touch();
	else if (strcmp(what, "storm") == 0)
		storm(count);
	else if (strcmp(what, "threads") == 0)
		threads(provided);
	else if (strcmp(what, "die") == 0)
		die(count);
	MPI_Finalize();
	return wrong;
}
