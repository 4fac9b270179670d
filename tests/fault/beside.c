/*
 * A process dies by SIGKILL at its DFS call number 1, 2, 3 ... until it lives
 * through all its work. It shares an offset with two others, holds locks of
 * three kinds, and has files open whose names went. After each death the others
 * go on: locks are free, the offset is where a whole record ends, every file
 * holds whole records and no holes.
 *
 *	beside DIR [STEP]	tries every STEPth number
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CELL 16
#define MOST 2000

static char top[PATH_MAX];
static int number, wrong;

#define CLAIM(expr)                                                            \
	do {                                                                   \
		errno = 0;                                                     \
		if (!(expr)) {                                                 \
			printf("death at %d, line %d: %s (errno %d)\n",        \
			       number, __LINE__, #expr, errno);                \
			wrong++;                                               \
		}                                                              \
	} while (0)

/* A step of the one who dies: it must not fail as long as he lives. */
#define DO(expr)                                                               \
	do {                                                                   \
		errno = 0;                                                     \
		if (!(expr)) {                                                 \
			printf("he, at %d, line %d: %s (errno %d)\n", number,  \
			       __LINE__, #expr, errno);                        \
			fflush(stdout);                                        \
			_exit(3);                                              \
		}                                                              \
	} while (0)

static const char *at(const char *name)
{
	static char bufs[4][PATH_MAX];
	static unsigned int next;
	char *buf = bufs[next++ % 4];

	snprintf(buf, PATH_MAX, "%.3000s/%d/%s", top, number, name);
	return buf;
}

static bool put(int fd, char who)
{
	char cell[CELL];

	memset(cell, who, CELL);
	return write(fd, cell, CELL) == CELL;
}

static bool make(const char *name, char who)
{
	int fd = open(at(name), O_WRONLY | O_CREAT | O_TRUNC, 0644);

	return fd >= 0 && put(fd, who) && close(fd) == 0;
}

/* Whole records of those in `who`, no holes, nothing half. */
static bool whole(const char *name, const char *who, int least)
{
	char cell[CELL], same[CELL];
	int fd = open(at(name), O_RDONLY), count = 0;
	ssize_t n;

	if (fd < 0)
		return false;
	while ((n = read(fd, cell, CELL)) == CELL) {
		memset(same, cell[0], CELL);
		if (!cell[0] || !strchr(who, cell[0]) ||
		    memcmp(cell, same, CELL) != 0)
			return false;
		count++;
	}
	return close(fd) == 0 && n == 0 && count >= least;
}

static struct flock range(short type)
{
	return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_len = 8};
}

static void dies(int shared, int log)
{
	struct flock lock = range(F_WRLCK);
	char fault[32];

	snprintf(fault, sizeof(fault), "*:%d:KILL", number);
	setenv("PIL4DFS_EMBEDDED_FAULT", fault, 1);
	int a = open(at("lock-a"), O_RDWR), b = open(at("lock-b"), O_RDWR);
	int c = open(at("lock-c"), O_RDWR);

	DO(fcntl(a, F_SETLK, &lock) == 0);
	DO(flock(b, LOCK_EX | LOCK_NB) == 0);
	DO(fcntl(c, F_OFD_SETLK, &lock) == 0);
	for (int i = 0; i < 3; i++) {
		DO(put(shared, 'v'));
		DO(put(log, 'v'));
	}
	int gone = open(at("gone"), O_RDWR);

	DO(gone >= 0 && unlink(at("gone")) == 0 && put(gone, 'v'));
	int over = open(at("target"), O_RDWR);

	DO(over >= 0 && rename(at("source"), at("target")) == 0);
	DO(put(over, 'v'));
	DO(ftruncate(gone, 4) == 0);
	DO(mkdir(at("made"), 0755) == 0);
	DO(rename(at("made"), at("moved")) == 0);
	DO(put(shared, 'v'));
	_exit(0);
}

/* Another who shares the offset, and comes after him. */
static void goes_on(int shared, int log, int wait_for)
{
	char c;

	if (read(wait_for, &c, 1) != 0)
		_exit(4);
	_exit(put(shared, 'b') && put(log, 'b') ? 0 : 5);
}

/* True if he lived. */
static bool once(void)
{
	struct flock lock = range(F_WRLCK);
	int pipes[2], status = 0;

	CLAIM(mkdir(at(""), 0755) == 0);
	CLAIM(make("lock-a", 'a') && make("lock-b", 'a') &&
	      make("lock-c", 'a'));
	CLAIM(make("gone", 'a') && make("source", 's') && make("target", 't'));
	int shared = open(at("shared"), O_RDWR | O_CREAT, 0644);
	int log = open(at("log"), O_WRONLY | O_CREAT | O_APPEND, 0644);
	/* The others have a file open whose name he takes. */
	int gone = open(at("gone"), O_RDONLY);
	int target = open(at("target"), O_RDONLY);

	CLAIM(put(shared, 'a') && put(log, 'a') && pipe(pipes) == 0);
	fflush(stdout);
	pid_t friend = fork();

	if (friend == 0) {
		close(pipes[1]);
		goes_on(shared, log, pipes[0]);
	}
	pid_t victim = fork();

	if (victim == 0)
		dies(shared, log);
	CLAIM(waitpid(victim, &status, 0) == victim);
	bool lived = WIFEXITED(status);

	CLAIM(lived ? WEXITSTATUS(status) == 0 : WTERMSIG(status) == SIGKILL);
	close(pipes[1]);
	CLAIM(waitpid(friend, &status, 0) == friend && status == 0);
	close(pipes[0]);
	/* Locks. */
	int a = open(at("lock-a"), O_RDWR), b = open(at("lock-b"), O_RDWR);
	int c = open(at("lock-c"), O_RDWR);

	CLAIM(fcntl(a, F_SETLK, &lock) == 0);
	CLAIM(flock(b, LOCK_EX | LOCK_NB) == 0);
	CLAIM(fcntl(c, F_OFD_SETLK, &lock) == 0);
	/* The offset, and bytes. */
	CLAIM(lseek(shared, 0, SEEK_CUR) % CELL == 0);
	CLAIM(put(shared, 'a') && put(log, 'a'));
	CLAIM(whole("shared", "avb", 3) && whole("log", "avb", 3));
	char cell[CELL];

	CLAIM(pread(gone, cell, 4, 0) == 4 &&
	      (cell[0] == 'a' || cell[0] == 'v'));
	CLAIM(pread(target, cell, CELL, 0) == CELL &&
	      (cell[0] == 't' || cell[0] == 'v'));
	/* On DAOS replacing a file that is open is two steps: between them the
	 * name is away, and the new file still where it was. */
	CLAIM(whole("target", "stv", 1) ||
	      (access(at("target"), F_OK) != 0 && whole("source", "s", 1)));
	close(a);
	close(b);
	close(c);
	close(gone);
	close(target);
	close(shared);
	close(log);
	return lived;
}

int main(int argc, char **argv)
{
	int step = argc > 2 ? atoi(argv[2]) : 1;

	if (argc < 2 || step < 1)
		return 2;
	snprintf(top, sizeof(top), "%s", argv[1]);
	umask(022);
	if (mkdir(top, 0755) != 0) {
		perror(top);
		return 1;
	}
	for (number = 1; number < MOST; number += step)
		if (once())
			break;
	printf("%d deaths\n", (number - 1) / step);
	return wrong != 0 || number >= MOST || number == 1;
}
