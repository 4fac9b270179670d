/*
 * Random histories of two processes in lock-step. The main process draws the
 * operations from a seed and orders one worker at a time to do each; what it
 * answered is a line on stdout. The same seed on a kernel directory and on a
 * mount must print the same lines and leave the same tree.
 *
 *	history DIR apart SEED STEPS	makes a history; the workers share only
 *					files that nobody removes or renames
 *	history DIR together SEED STEPS	all names are everybody's
 *					(HISTORY_KEEP=1011.. leaves steps out)
 *	history DIR check		looks whether every byte is where it says
 *
 * Whatever is written consists of records of 16 bytes that say writer, order
 * and, where it is known, the place: a misplaced one names its author.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define CELL 16
#define SLOTS 8
#define WORKERS 2
#define CONTROL 500 /* the workers' control socket, out of the way */
#define NOWHERE 0xffff

enum op {
	OPEN,
	CLOSE,
	DUP,
	DUP2,
	READ,
	WRITE,
	PREAD,
	PWRITE,
	WRITEV,
	LSEEK,
	FTRUNCATE,
	TRUNCATE,
	FSTAT,
	STAT,
	RENAME,
	UNLINK,
	MKDIR,
	RMDIR,
	LIST,
	CHDIR,
	GETFL,
	SETFL,
	MAP,
	SYMLINK,
	FORK,
	EXEC,
	EXIT,
	QUIT,
};

static const char *const op_names[] = {
	"open",	 "close",  "dup",    "dup2",   "read",	    "write",
	"pread", "pwrite", "writev", "lseek",  "ftruncate", "truncate",
	"fstat", "stat",   "rename", "unlink", "mkdir",	    "rmdir",
	"list",	 "chdir",  "getfl",  "setfl",  "map",	    "symlink",
	"fork",	 "exec",   "exit",   "quit"};

struct order {
	enum op op;
	int slot, slot2, flags;
	long offset, length;
	unsigned int number;
	char path[32], path2[32];
	bool absolute;
};

struct answer {
	long value;
	int error;
	unsigned int hash;
	char text[160];
};

static const char *const places[] = {"a",    "b",     "c",	 "d0/a",
				     "d0/b", "d1/a",  "d0/d2/a", "d0",
				     "d1",   "d0/d2", "l0",	 "d1/l1"};
#define PLACES (sizeof(places) / sizeof(places[0]))

static const char *const shared_places[] = {"../s/a", "../s/b", "../s/c"};

static char top[PATH_MAX], home[PATH_MAX];
static bool together;
static unsigned long long state;
static int slots[SLOTS], me;

static unsigned int draw(unsigned int below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state >> 11) % below;
}

/* One record: writer, order, part, place (in cells, or NOWHERE). */
static void record(char *at, unsigned int number, unsigned int part,
		   long offset)
{
	char text[64];

	snprintf(text, sizeof(text), "%c%06u+%03u@%04lx", 'A' + me,
		 number % 1000000, part % 1000,
		 offset < 0 ? NOWHERE : offset / CELL % NOWHERE);
	memcpy(at, text, CELL);
}

static unsigned int hash_of(const void *data, size_t len)
{
	const unsigned char *at = data;
	unsigned int hash = 2166136261U;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ at[i]) * 16777619U;
	return hash;
}

static const char *name_of(const struct order *order, const char *path,
			   char *buf)
{
	if (!order->absolute)
		return path;
	snprintf(buf, PATH_MAX, "%.3000s/%s", home, path);
	return buf;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static long list(const char *path, struct answer *answer)
{
	char *names[64];
	size_t count = 0, used = 0;
	struct dirent *entry;
	DIR *dir = opendir(path);

	if (!dir)
		return -1;
	while ((entry = readdir(dir)) && count < 64)
		names[count++] = strdup(entry->d_name);
	closedir(dir);
	qsort(names, count, sizeof(names[0]), compare);
	for (size_t i = 0; i < count; i++) {
		int n = snprintf(answer->text + used,
				 sizeof(answer->text) - used, " %s", names[i]);

		if (n > 0 && used + n < sizeof(answer->text))
			used += n;
		free(names[i]);
	}
	return count;
}

static void tell(const struct stat *st, struct answer *answer)
{
	bool directory = S_ISDIR(st->st_mode);

	/* Sizes and links of directories are the file system's own affair. */
	snprintf(answer->text, sizeof(answer->text),
		 " mode %o size %ld links %ld", st->st_mode,
		 directory ? 0L : (long)st->st_size,
		 directory ? 0L : (long)st->st_nlink);
}

static long put(const struct order *order, int fd, bool positioned)
{
	char data[CELL * 32];
	long cells = order->length / CELL;
	int flags = fcntl(fd, F_GETFL);
	/* On O_APPEND a positioned write goes to the end all the same. */
	bool placed = positioned && flags >= 0 && !(flags & O_APPEND);

	for (long i = 0; i < cells; i++)
		record(data + i * CELL, order->number, i,
		       placed ? order->offset + i * CELL : -1);
	if (positioned)
		return pwrite(fd, data, order->length, order->offset);
	if (order->op == WRITEV) {
		struct iovec two[2] = {{data, CELL},
				       {data + CELL, order->length - CELL}};

		return writev(fd, two, order->length > CELL ? 2 : 1);
	}
	return write(fd, data, order->length);
}

static long get(const struct order *order, int fd, struct answer *answer)
{
	char data[CELL * 32];
	long n = order->op == PREAD
			 ? pread(fd, data, order->length, order->offset)
			 : read(fd, data, order->length);

	if (n > 0)
		answer->hash = hash_of(data, n);
	return n;
}

/* Writes one record through a shared mapping. */
static long through_a_map(const struct order *order, int fd)
{
	struct stat st;
	char cell[CELL];

	if (fstat(fd, &st) != 0)
		return -1;
	if (!S_ISREG(st.st_mode) || st.st_size < CELL || st.st_size > 1 << 20) {
		errno = ERANGE;
		return -1;
	}
	long at = order->offset % st.st_size / CELL * CELL;
	char *m = mmap(NULL, st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		       0);

	if (m == MAP_FAILED)
		return -1;
	record(cell, order->number, 0, at);
	memcpy(m + at, cell, CELL);
	if (order->flags & 1)
		msync(m, st.st_size, MS_SYNC);
	return munmap(m, st.st_size) == 0 ? at : -1;
}

static void become_anew(void)
{
	char numbers[SLOTS][16], self[16], *argv[SLOTS + 5];
	int n = 0;

	argv[n++] = "history";
	argv[n++] = top;
	argv[n++] = together ? "worker-together" : "worker-apart";
	snprintf(self, sizeof(self), "%d", me);
	argv[n++] = self;
	for (int i = 0; i < SLOTS; i++) {
		snprintf(numbers[i], sizeof(numbers[i]), "%d", slots[i]);
		argv[n++] = numbers[i];
	}
	argv[n] = NULL;
	execv(getenv("HISTORY_PROGRAM"), argv);
}

static long obey(const struct order *order, struct answer *answer)
{
	char first[PATH_MAX], second[PATH_MAX];
	const char *path = name_of(order, order->path, first);
	const char *path2 = name_of(order, order->path2, second);
	int fd = slots[order->slot], got;
	struct stat st;

	switch (order->op) {
	case OPEN:
		got = open(path, order->flags, 0644);
		if (got >= 0) {
			close(slots[order->slot]);
			slots[order->slot] = got;
		}
		return got;
	case CLOSE:
		return close(fd);
	case DUP:
		got = dup(fd);
		if (got >= 0) {
			close(slots[order->slot2]);
			slots[order->slot2] = got;
		}
		return got;
	case DUP2:
		return slots[order->slot2] < 3 ? -1
					       : dup2(fd, slots[order->slot2]);
	case READ:
	case PREAD:
		return get(order, fd, answer);
	case WRITE:
	case WRITEV:
		return put(order, fd, false);
	case PWRITE:
		return put(order, fd, true);
	case LSEEK:
		return lseek(fd, order->offset, order->flags % 3);
	case FTRUNCATE:
		return ftruncate(fd, order->offset);
	case TRUNCATE:
		return truncate(path, order->offset);
	case FSTAT:
		if (fstat(fd, &st) != 0)
			return -1;
		tell(&st, answer);
		return 0;
	case STAT:
		if ((order->flags & 1 ? lstat(path, &st) : stat(path, &st)) !=
		    0)
			return -1;
		tell(&st, answer);
		return 0;
	case RENAME:
		return rename(path, path2);
	case UNLINK:
		return unlink(path);
	case MKDIR:
		return mkdir(path, 0755);
	case RMDIR:
		return rmdir(path);
	case LIST:
		return list(path, answer);
	case CHDIR:
		return chdir(order->flags & 1 ? home : path);
	case GETFL:
		got = fcntl(fd, F_GETFL);
		return got < 0 ? got : got & (O_ACCMODE | O_APPEND);
	case SETFL:
		return fcntl(fd, F_SETFL, order->flags & 1 ? O_APPEND : 0);
	case MAP:
		return through_a_map(order, fd);
	case SYMLINK:
		return symlink(order->path2, path);
	default:
		return -1;
	}
}

static void work(void)
{
	struct order order;
	struct answer answer;

	while (read(CONTROL, &order, sizeof(order)) == sizeof(order)) {
		memset(&answer, 0, sizeof(answer));
		errno = 0;
		if (order.op == QUIT)
			_exit(0);
		if (order.op == FORK) {
			/* The child goes on; the parent waits for its end. */
			pid_t pid = fork();

			if (pid > 0) {
				waitpid(pid, NULL, 0);
				continue;
			}
			answer.value = pid;
		} else if (order.op == EXEC) {
			become_anew();
			answer.value = -1;
		} else if (order.op == EXIT) {
			if (write(CONTROL, &answer, sizeof(answer)) > 0)
				_exit(0);
		} else {
			answer.value = obey(&order, &answer);
		}
		answer.error = answer.value == -1 ? errno : 0;
		if (write(CONTROL, &answer, sizeof(answer)) != sizeof(answer))
			_exit(1);
	}
	_exit(1);
}

/* Where a worker lives, and the directories that are there from the start. */
static void settle(bool make)
{
	char path[PATH_MAX];

	snprintf(home, sizeof(home), together ? "%.3000s/x" : "%.3000s/%c", top,
		 'A' + me);
	if (!make)
		return;
	snprintf(path, sizeof(path), "%.3000s/s", top);
	mkdir(path, 0755);
	mkdir(home, 0755);
	for (unsigned int i = 7; i < 10; i++) {
		snprintf(path, sizeof(path), "%.3000s/%s", home, places[i]);
		mkdir(path, 0755);
	}
}

/* After exec: the old numbers in their slots, and on with the orders. */
static int work_again(char **argv)
{
	struct answer answer = {0};

	me = atoi(argv[3]);
	settle(false);
	for (int i = 0; i < SLOTS; i++)
		slots[i] = atoi(argv[4 + i]);
	if (write(CONTROL, &answer, sizeof(answer)) != sizeof(answer))
		return 1;
	work();
	return 0;
}

/* Mostly a place of the kind that the operation is about. */
static void choose_place(enum op op, char *path, size_t size)
{
	unsigned int first = 0, count = PLACES;

	if ((op == OPEN || op == STAT || op == TRUNCATE) && draw(4) == 0) {
		snprintf(path, size, "%s", shared_places[draw(3)]);
		return;
	}
	if (draw(8) != 0) {
		if (op == MKDIR || op == RMDIR || op == LIST || op == CHDIR) {
			first = 7;
			count = 3;
		} else if (op == SYMLINK) {
			first = draw(2) ? 10 : 0;
			count = first ? 2 : PLACES;
		} else {
			count = 7;
		}
	}
	snprintf(path, size, "%s", places[first + draw(count)]);
}

/* What is drawn depends on the seed alone, so that a part can be left out. */
static void choose(struct order *order, unsigned int number)
{
	static const enum op weights[] = {
		OPEN,	 OPEN,	OPEN,	OPEN,	   OPEN,     OPEN,   CLOSE,
		DUP,	 DUP,	DUP2,	DUP2,	   READ,     READ,   READ,
		WRITE,	 WRITE, WRITE,	WRITE,	   PREAD,    PWRITE, PWRITE,
		WRITEV,	 LSEEK, LSEEK,	FTRUNCATE, TRUNCATE, FSTAT,  FSTAT,
		STAT,	 STAT,	RENAME, RENAME,	   UNLINK,   UNLINK, MKDIR,
		RMDIR,	 LIST,	LIST,	CHDIR,	   GETFL,    SETFL,  MAP,
		SYMLINK, FORK,	EXEC,	EXIT};
	static const int how[] = {O_RDONLY, O_WRONLY, O_RDWR, O_RDWR, O_RDWR};

	memset(order, 0, sizeof(*order));
	order->op = weights[draw(sizeof(weights) / sizeof(weights[0]))];
	order->number = number;
	order->slot = draw(SLOTS);
	order->slot2 = draw(SLOTS);
	order->offset = draw(64) * CELL;
	order->length = (1 + draw(8)) * CELL;
	order->absolute = draw(4) != 0;
	choose_place(order->op, order->path, sizeof(order->path));
	choose_place(order->op, order->path2, sizeof(order->path2));
	order->flags = draw(1 << 16);
	if (order->op == OPEN) {
		int flags = how[draw(5)];

		flags |= draw(3) ? O_CREAT : 0;
		flags |= draw(6) ? 0 : O_TRUNC;
		flags |= draw(6) ? 0 : O_APPEND;
		flags |= draw(8) ? 0 : O_EXCL;
		flags |= draw(8) ? 0 : O_CLOEXEC;
		if ((flags & O_EXCL) && !(flags & O_CREAT))
			flags &= ~O_EXCL;
		order->flags = flags;
	}
}

static void print(unsigned int step, int worker, const struct order *order,
		  const struct answer *answer)
{
	printf("%u %c %s slot %d %d offset %ld length %ld flags %o %s%s %s: ",
	       step, 'A' + worker, op_names[order->op], order->slot,
	       order->slot2, order->offset, order->length, order->flags,
	       order->absolute ? "/" : "", order->path, order->path2);
	printf("%ld %s %08x%s\n", answer->value,
	       answer->error ? strerror(answer->error) : "", answer->hash,
	       answer->text);
}

/* HISTORY_KEEP, when set, is a string of a 0 or 1 for every step. */
static bool kept(unsigned int step)
{
	static const char *keep;
	static size_t length;

	if (!keep) {
		keep = getenv("HISTORY_KEEP");
		keep = keep ? keep : "";
		length = strlen(keep);
	}
	return step >= length || keep[step] == '1';
}

static int run(unsigned long long seed, unsigned int steps)
{
	int control[WORKERS], depth[WORKERS] = {0};
	pid_t pids[WORKERS];
	struct order order;
	struct answer answer;

	state = seed * 0x9e3779b97f4a7c15ULL + 1;
	if (mkdir(top, 0755) != 0 && errno != EEXIST) {
		perror(top);
		return 1;
	}
	for (me = 0; me < WORKERS; me++)
		settle(true);
	for (int i = 0; i < WORKERS; i++) {
		int pair[2];

		if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) != 0)
			return 1;
		fflush(stdout);
		pids[i] = fork();
		if (pids[i] == 0) {
			me = i;
			dup2(pair[1], CONTROL);
			for (int fd = 3; fd < CONTROL; fd++)
				close(fd);
			for (int slot = 0; slot < SLOTS; slot++)
				slots[slot] = -1;
			settle(false);
			if (chdir(home) != 0)
				_exit(1);
			work();
		}
		close(pair[1]);
		control[i] = pair[0];
	}
	for (unsigned int step = 0; step < steps; step++) {
		int worker = draw(WORKERS);

		choose(&order, step);
		if (!kept(step) || (order.op == EXIT && depth[worker] == 0) ||
		    (order.op == FORK && depth[worker] >= 3))
			continue;
		memset(&answer, 0, sizeof(answer));
		if (write(control[worker], &order, sizeof(order)) !=
			    sizeof(order) ||
		    read(control[worker], &answer, sizeof(answer)) !=
			    sizeof(answer)) {
			printf("%u %c is gone at %s\n", step, 'A' + worker,
			       op_names[order.op]);
			return 1;
		}
		if (order.op == FORK)
			depth[worker] += answer.value == 0;
		if (order.op == EXIT)
			depth[worker]--;
		print(step, worker, &order, &answer);
	}
	for (int i = 0; i < WORKERS; i++) {
		for (; depth[i] > 0; depth[i]--) {
			order.op = EXIT;
			if (write(control[i], &order, sizeof(order)) < 0 ||
			    read(control[i], &answer, sizeof(answer)) < 0)
				return 1;
		}
		order.op = QUIT;
		if (write(control[i], &order, sizeof(order)) < 0)
			return 1;
		waitpid(pids[i], NULL, 0);
	}
	return 0;
}

static int wrong;

static void check_file(const char *path)
{
	char cell[CELL], zero[CELL] = {0};
	FILE *f = fopen(path, "r");
	long index = 0;
	size_t n;

	if (!f) {
		perror(path);
		wrong++;
		return;
	}
	for (; (n = fread(cell, 1, CELL, f)) > 0; index++) {
		unsigned int number, part, place;
		char writer, text[CELL + 1];

		memcpy(text, cell, CELL);
		text[CELL] = '\0';
		if (n == CELL && memcmp(cell, zero, CELL) == 0)
			continue;
		if (n == CELL &&
		    sscanf(text, "%c%6u+%3u@%4x", &writer, &number, &part,
			   &place) == 4 &&
		    writer >= 'A' && writer < 'A' + WORKERS &&
		    (place == NOWHERE || place == index % NOWHERE))
			continue;
		printf("%s: cell %ld: \"%s\" does not belong there\n", path,
		       index, text);
		wrong++;
	}
	fclose(f);
}

static void check_tree(const char *path)
{
	char inner[PATH_MAX];
	struct dirent *entry;
	struct stat st;
	DIR *dir = opendir(path);

	if (!dir) {
		perror(path);
		wrong++;
		return;
	}
	while ((entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") == 0 ||
		    strcmp(entry->d_name, "..") == 0)
			continue;
		snprintf(inner, sizeof(inner), "%.3000s/%s", path,
			 entry->d_name);
		if (lstat(inner, &st) != 0)
			wrong++;
		else if (S_ISDIR(st.st_mode))
			check_tree(inner);
		else if (S_ISREG(st.st_mode))
			check_file(inner);
	}
	closedir(dir);
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	snprintf(top, sizeof(top), "%s", argv[1]);
	umask(022);
	together = strstr(argv[2], "together") != NULL;
	if (strncmp(argv[2], "worker-", 7) == 0 && argc == 4 + SLOTS)
		return work_again(argv);
	if (strcmp(argv[2], "check") == 0) {
		check_tree(top);
		return wrong != 0;
	}
	if (argc == 5) {
		setenv("HISTORY_PROGRAM", argv[0], 1);
		return run(strtoull(argv[3], NULL, 10), atoi(argv[4]));
	}
	return 2;
}
