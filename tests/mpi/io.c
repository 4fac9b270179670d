/*
 * MPI-IO on one shared file and more: independent, collective through strided
 * views, nonblocking, sizes, shared pointers, atomic mode, and the errors of
 * open. Every rank looks at every byte, through MPI and through read(2). What
 * is printed, and the files that stay, depend on the number of ranks only.
 *
 *	io DIR TAG [PREFIX] [ompio]
 *
 * TAG ends the names of files: OMPIO calls semaphores of the node after them.
 * PREFIX goes before names: "ufs:" picks ROMIO's driver. Open MPI's own OMPIO
 * (4.1) has no atomic mode to speak of, and its preallocate moves data.
 */
#include <errno.h>
#include <fcntl.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK 12345  /* bytes: no multiple of anything */
#define ROUNDS 5     /* blocks of a rank */
#define INTS 512     /* of a rank's part of a strided row */
#define ROWS 24	     /* strided rows */
#define RECORD 64    /* bytes of a record by shared pointer */
#define RECORDS 20   /* of each rank */
#define ATOMIC 20000 /* bytes written over each other */

static int rank, size, wrong, ompio;
static const char *dir, *tag, *prefix = "";

static void say(const char *what, int fine)
{
	int all;

	MPI_Allreduce(&fine, &all, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD);
	if (rank == 0)
		printf("%s: %s\n", what, all ? "right" : "WRONG");
	fflush(stdout);
	wrong |= !all;
}

static int ok(const char *what, int rc)
{
	char text[MPI_MAX_ERROR_STRING];
	int length;

	if (rc == MPI_SUCCESS)
		return 1;
	MPI_Error_string(rc, text, &length);
	fprintf(stderr, "rank %d: %s: %s\n", rank, what, text);
	return 0;
}

/* The byte that belongs at `at` of the file of this kind. */
static unsigned char byte_at(int kind, long at)
{
	unsigned long x =
		(unsigned long)at * 2654435761u + (unsigned long)kind * 40503u;

	return (unsigned char)(x >> 13 ^ x >> 5 ^ x);
}

static void fill(unsigned char *to, int kind, long at, long n)
{
	for (long i = 0; i < n; i++)
		to[i] = byte_at(kind, at + i);
}

static int holds(const char *what, const unsigned char *bytes, int kind,
		 long at, long n)
{
	for (long i = 0; i < n; i++) {
		if (bytes[i] == byte_at(kind, at + i))
			continue;
		fprintf(stderr, "rank %d: %s: wrong byte at %ld\n", rank, what,
			at + i);
		return 0;
	}
	return 1;
}

static const char *plain(const char *name)
{
	static char path[4096];

	snprintf(path, sizeof(path), "%s/%s.%s", dir, name, tag);
	return path;
}

static MPI_File open_file(const char *name, int mode)
{
	char path[4200];
	MPI_File file = MPI_FILE_NULL;

	snprintf(path, sizeof(path), "%s%s", prefix, plain(name));
	ok(path,
	   MPI_File_open(MPI_COMM_WORLD, path, mode, MPI_INFO_NULL, &file));
	return file;
}

/* The whole file by read(2), by every rank. */
static int whole(const char *name, int kind, long length)
{
	unsigned char *bytes = malloc(length + 1);
	int fd = open(plain(name), O_RDONLY), fine;
	long got = 0;
	ssize_t n;

	while (fd >= 0 && (n = read(fd, bytes + got, length + 1 - got)) > 0)
		got += n;
	if (got != length)
		fprintf(stderr, "rank %d: %s: %ld bytes, not %ld\n", rank, name,
			got, length);
	fine = got == length && holds(name, bytes, kind, 0, length);
	close(fd);
	free(bytes);
	return fine;
}

static void independent(void)
{
	static unsigned char mine[BLOCK], theirs[BLOCK];
	MPI_File file =
		open_file("independent", MPI_MODE_CREATE | MPI_MODE_RDWR);
	long total = (long)BLOCK * ROUNDS * size;
	MPI_Status status;
	int fine = 1, count;

	for (int i = 0; i < ROUNDS; i++) {
		long at = (long)BLOCK * (i * size + rank);

		fill(mine, 1, at, BLOCK);
		fine &= ok("write_at", MPI_File_write_at(file, at, mine, BLOCK,
							 MPI_BYTE, &status));
		MPI_Get_count(&status, MPI_BYTE, &count);
		fine &= count == BLOCK;
	}
	fine &= ok("sync", MPI_File_sync(file));
	MPI_Barrier(MPI_COMM_WORLD);
	fine &= ok("sync", MPI_File_sync(file));
	for (long at = 0; at < total; at += BLOCK) {
		fine &= ok("read_at", MPI_File_read_at(file, at, theirs, BLOCK,
						       MPI_BYTE, &status));
		fine &= holds("independent", theirs, 1, at, BLOCK);
	}
	ok("read at the end",
	   MPI_File_read_at(file, total, theirs, BLOCK, MPI_BYTE, &status));
	MPI_Get_count(&status, MPI_BYTE, &count);
	fine &= count == 0;
	ok("close", MPI_File_close(&file));
	say("independent", fine && whole("independent", 1, total));
}

/* Row by row a part of each rank, seen through a view of one's own parts. */
static void strided(void)
{
	long row = (long)INTS * sizeof(int) * size,
	     length = (long)INTS * ROWS * sizeof(int);
	unsigned char *data = malloc(length), *back = calloc(1, length);
	MPI_File file = open_file("strided", MPI_MODE_CREATE | MPI_MODE_RDWR);
	MPI_Datatype view;
	int fine = 1;

	MPI_Type_vector(ROWS, INTS, INTS * size, MPI_INT, &view);
	MPI_Type_commit(&view);
	for (int i = 0; i < ROWS; i++)
		fill(data + (long)i * INTS * sizeof(int), 2,
		     row * i + (long)rank * INTS * sizeof(int),
		     INTS * sizeof(int));
	fine &= ok("set_view",
		   MPI_File_set_view(file, (long)rank * INTS * sizeof(int),
				     MPI_INT, view, "native", MPI_INFO_NULL));
	fine &= ok("write_at_all",
		   MPI_File_write_at_all(file, 0, data, INTS * ROWS, MPI_INT,
					 MPI_STATUS_IGNORE));
	ok("sync", MPI_File_sync(file));
	MPI_Barrier(MPI_COMM_WORLD);
	fine &= ok("read_at_all",
		   MPI_File_read_at_all(file, 0, back, INTS * ROWS, MPI_INT,
					MPI_STATUS_IGNORE));
	fine &= memcmp(data, back, length) == 0;
	/* The same without collective buffering: many small pieces, or data sieving under locks. */
	memset(back, 0, length);
	fine &= ok("seek", MPI_File_seek(file, 0, MPI_SEEK_SET));
	fine &= ok("write", MPI_File_write(file, data, INTS * ROWS, MPI_INT,
					   MPI_STATUS_IGNORE));
	ok("sync", MPI_File_sync(file));
	MPI_Barrier(MPI_COMM_WORLD);
	fine &= ok("read_at", MPI_File_read_at(file, 0, back, INTS * ROWS,
					       MPI_INT, MPI_STATUS_IGNORE));
	fine &= memcmp(data, back, length) == 0;
	ok("close", MPI_File_close(&file));
	MPI_Type_free(&view);
	say("strided", fine && whole("strided", 2, row * ROWS));
	free(data);
	free(back);
}

static void nonblocking(void)
{
	static unsigned char out[ROUNDS][BLOCK], in[ROUNDS][BLOCK];
	MPI_File file =
		open_file("nonblocking", MPI_MODE_CREATE | MPI_MODE_RDWR);
	MPI_Request requests[ROUNDS];
	MPI_Status statuses[ROUNDS];
	int fine = 1;

	for (int i = 0; i < ROUNDS; i++) {
		long at = (long)BLOCK * (i * size + rank);

		fill(out[i], 3, at, BLOCK);
		fine &= ok("iwrite_at",
			   MPI_File_iwrite_at(file, at, out[i], BLOCK, MPI_BYTE,
					      &requests[i]));
	}
	fine &= ok("wait", MPI_Waitall(ROUNDS, requests, statuses));
	ok("sync", MPI_File_sync(file));
	MPI_Barrier(MPI_COMM_WORLD);
	for (int i = 0; i < ROUNDS; i++) {
		long at = (long)BLOCK * (i * size + (rank + 1) % size);

		fine &= ok("iread_at",
			   MPI_File_iread_at(file, at, in[i], BLOCK, MPI_BYTE,
					     &requests[i]));
	}
	fine &= ok("wait", MPI_Waitall(ROUNDS, requests, statuses));
	for (int i = 0; i < ROUNDS; i++)
		fine &= holds("nonblocking", in[i], 3,
			      (long)BLOCK * (i * size + (rank + 1) % size),
			      BLOCK);
	ok("close", MPI_File_close(&file));
	say("nonblocking",
	    fine && whole("nonblocking", 3, (long)BLOCK * ROUNDS * size));
}

static int length_is(MPI_File file, MPI_Offset wanted)
{
	MPI_Offset length = -1;
	struct stat st;

	ok("get_size", MPI_File_get_size(file, &length));
	if (length == wanted && stat(plain("sizes"), &st) == 0 &&
	    st.st_size == wanted)
		return 1;
	fprintf(stderr, "rank %d: a size of %lld, not %lld\n", rank,
		(long long)length, (long long)wanted);
	return 0;
}

static void sizes(void)
{
	static unsigned char bytes[BLOCK];
	MPI_File file = open_file("sizes", MPI_MODE_CREATE | MPI_MODE_RDWR);
	int fine = 1;

	fill(bytes, 4, (long)rank * BLOCK, BLOCK);
	fine &= ok("write",
		   MPI_File_write_at_all(file, (long)rank * BLOCK, bytes, BLOCK,
					 MPI_BYTE, MPI_STATUS_IGNORE));
	fine &= ok("set_size", MPI_File_set_size(file, BLOCK - 7)) &&
		length_is(file, BLOCK - 7);
	MPI_Barrier(MPI_COMM_WORLD);
	fine &= ok("set_size", MPI_File_set_size(file, 3 * BLOCK)) &&
		length_is(file, 3 * BLOCK);
	fine &= ok("read", MPI_File_read_at(file, BLOCK - 7, bytes, BLOCK,
					    MPI_BYTE, MPI_STATUS_IGNORE));
	for (int i = 0; i < BLOCK; i++)
		fine &= bytes[i] == 0;
	MPI_Barrier(MPI_COMM_WORLD);
	if (!ompio) {
		fine &= ok("preallocate",
			   MPI_File_preallocate(file, 5 * BLOCK)) &&
			length_is(file, 5 * BLOCK);
		MPI_Barrier(MPI_COMM_WORLD);
		fine &= ok("preallocate", MPI_File_preallocate(file, BLOCK)) &&
			length_is(file, 5 * BLOCK);
	}
	ok("close", MPI_File_close(&file));
	say("sizes", fine);
}

/* Records in an order nobody knows, each once, and records in the order of the ranks. */
static void shared_pointer(void)
{
	MPI_File file = open_file("shared", MPI_MODE_CREATE | MPI_MODE_RDWR);
	char record[RECORD], all[RECORD + 1];
	int fine = 1, rc, *seen = calloc((size_t)size * RECORDS, sizeof(int));
	long at = 0;

	memset(record, '.', RECORD);
	rc = MPI_File_write_shared(file, record, 0, MPI_BYTE,
				   MPI_STATUS_IGNORE);
	MPI_Allreduce(MPI_IN_PLACE, &rc, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
	if (rc != MPI_SUCCESS) {
		MPI_File_close(&file);
		if (rank == 0)
			printf("shared pointer: not supported\n");
		goto out;
	}
	for (int i = 0; i < RECORDS; i++) {
		sprintf(record, "rank %d record %d ", rank, i);
		fine &= ok("write_shared",
			   MPI_File_write_shared(file, record, RECORD, MPI_BYTE,
						 MPI_STATUS_IGNORE));
	}
	MPI_Barrier(MPI_COMM_WORLD);
	ok("close", MPI_File_close(&file));
	for (int fd = open(plain("shared"), O_RDONLY); fd >= 0;) {
		ssize_t n = read(fd, all, RECORD);
		int r, i;

		all[RECORD] = 0;
		if (n == RECORD &&
		    sscanf(all, "rank %d record %d ", &r, &i) == 2 &&
		    r < size && i < RECORDS) {
			seen[r * RECORDS + i]++;
			at += n;
			continue;
		}
		fine &= n == 0;
		close(fd);
		break;
	}
	for (int i = 0; i < size * RECORDS; i++)
		fine &= seen[i] == 1;
	fine &= at == (long)size * RECORDS * RECORD;
	MPI_Barrier(MPI_COMM_WORLD);
	say("shared pointer", fine);

	file = open_file("ordered", MPI_MODE_CREATE | MPI_MODE_RDWR);
	memset(record, '.', RECORD);
	sprintf(record, "in order, rank %d ", rank);
	fine = 1;
	for (int i = 0; i < 3; i++)
		fine &= ok("write_ordered",
			   MPI_File_write_ordered(file, record, RECORD,
						  MPI_BYTE, MPI_STATUS_IGNORE));
	fine &= ok("seek_shared",
		   MPI_File_seek_shared(file, (MPI_Offset)RECORD * size,
					MPI_SEEK_SET));
	fine &= ok("read_ordered",
		   MPI_File_read_ordered(file, all, RECORD, MPI_BYTE,
					 MPI_STATUS_IGNORE));
	fine &= memcmp(record, all, RECORD) == 0;
	ok("close", MPI_File_close(&file));
	say("ordered", fine);
out:
	MPI_Barrier(MPI_COMM_WORLD);
	if (rank == 0)
		unlink(plain("shared"));
	free(seen);
}

/* In atomic mode what several ranks write to one place is wholly one rank's. */
static void atomic_mode(void)
{
	int checked = !ompio;
	static unsigned char bytes[ATOMIC];
	MPI_File file = open_file("atomic", MPI_MODE_CREATE | MPI_MODE_RDWR);
	int fine = ok("set_atomicity", MPI_File_set_atomicity(file, 1)),
	    flag = -1;

	MPI_File_get_atomicity(file, &flag);
	for (int i = 0; i < 20 && checked; i++) {
		memset(bytes, 'a' + rank, ATOMIC);
		fine &= ok("write_at",
			   MPI_File_write_at(file, 100, bytes, ATOMIC, MPI_BYTE,
					     MPI_STATUS_IGNORE));
		fine &= ok("read_at",
			   MPI_File_read_at(file, 100, bytes, ATOMIC, MPI_BYTE,
					    MPI_STATUS_IGNORE));
		for (int k = 1; k < ATOMIC; k++)
			fine &= bytes[k] == bytes[0];
	}
	ok("close", MPI_File_close(&file));
	MPI_Barrier(MPI_COMM_WORLD);
	if (rank == 0)
		unlink(plain("atomic"));
	say(checked ? "atomic mode" : "atomic mode, not checked",
	    fine && (flag == 1 || !checked));
}

static int refused(const char *name, int mode)
{
	char path[4200];
	MPI_File file;
	int rc, class = MPI_SUCCESS;

	snprintf(path, sizeof(path), "%s%s", prefix, plain(name));
	rc = MPI_File_open(MPI_COMM_WORLD, path, mode, MPI_INFO_NULL, &file);
	if (rc == MPI_SUCCESS)
		MPI_File_close(&file);
	else
		MPI_Error_class(rc, &class);
	return class;
}

static void names(void)
{
	MPI_File file;
	char path[4200];
	int fine = 1, there;

	fine &= refused("nowhere", MPI_MODE_RDONLY) == MPI_ERR_NO_SUCH_FILE;
	fine &= refused("independent", MPI_MODE_CREATE | MPI_MODE_EXCL |
					       MPI_MODE_WRONLY) != MPI_SUCCESS;
	file = open_file("passing", MPI_MODE_CREATE | MPI_MODE_WRONLY |
					    MPI_MODE_DELETE_ON_CLOSE);
	there = access(plain("passing"), F_OK) == 0;
	MPI_Barrier(MPI_COMM_WORLD);
	ok("close", MPI_File_close(&file));
	MPI_Barrier(MPI_COMM_WORLD);
	fine &= there && access(plain("passing"), F_OK) == -1 &&
		errno == ENOENT;

	file = open_file("appended", MPI_MODE_CREATE | MPI_MODE_WRONLY);
	if (rank == 0)
		fine &= ok("write", MPI_File_write(file, "begin ", 6, MPI_BYTE,
						   MPI_STATUS_IGNORE));
	ok("close", MPI_File_close(&file));
	MPI_Barrier(MPI_COMM_WORLD);
	file = open_file("appended", MPI_MODE_WRONLY | MPI_MODE_APPEND);
	if (rank == 0)
		fine &= ok("write", MPI_File_write(file, "end\n", 4, MPI_BYTE,
						   MPI_STATUS_IGNORE));
	ok("close", MPI_File_close(&file));

	snprintf(path, sizeof(path), "%s%s", prefix, plain("removed"));
	if (rank == 0) {
		close(open(plain("removed"), O_CREAT | O_WRONLY, 0600));
		fine &= ok("delete", MPI_File_delete(path, MPI_INFO_NULL));
		fine &= access(plain("removed"), F_OK) == -1;
	}
	say("names", fine);
}

int main(int argc, char **argv)
{
	int provided;

	MPI_Init_thread(&argc, &argv, MPI_THREAD_SINGLE, &provided);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	MPI_Comm_size(MPI_COMM_WORLD, &size);
	dir = argv[1];
	tag = argv[2];
	for (int i = 3; i < argc; i++) {
		if (strcmp(argv[i], "ompio") == 0)
			ompio = 1;
		else
			prefix = argv[i];
	}
	if (rank == 0 && mkdir(dir, 0755) != 0)
		perror(dir);
	umask(022);
	MPI_Barrier(MPI_COMM_WORLD);
	independent();
	strided();
	nonblocking();
	sizes();
	shared_pointer();
	atomic_mode();
	names();
	MPI_Finalize();
	return wrong;
}
