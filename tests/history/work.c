/*
 * A worker: does what it is ordered and answers. It may fork (the child goes on
 * in its place), exec itself anew, or make a child that becomes another worker
 * and shares its open files.
 */
#include "history.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

void settle(void)
{
	snprintf(home, sizeof(home), together ? "%.3000s/x" : "%.3000s/%c", top,
		 'A' + me);
}

/* Where a path of an order leads from: its text, and the directory before it. */
struct place {
	char text[PATH_MAX];
	int from;
};

static struct place place_of(const struct order *order, const char *path)
{
	struct place place = {.from = AT_FDCWD};

	if (order->from_slot && together) {
		place.from = slots[order->slot2];
		snprintf(place.text, PATH_MAX, "%s", path);
	} else if (order->absolute) {
		snprintf(place.text, PATH_MAX, "%.3000s/%s", home, path);
	} else {
		snprintf(place.text, PATH_MAX, "%s", path);
	}
	return place;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static long list(DIR *dir, struct answer *answer)
{
	char *names[64];
	size_t count = 0, used = 0;
	struct dirent *entry;

	if (!dir)
		return -1;
	while (count < 64 && (entry = readdir(dir)))
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

static long list_fd(int fd, struct answer *answer)
{
	int twin = dup(fd);
	DIR *dir = twin < 0 ? NULL : fdopendir(twin);

	if (!dir) {
		int kept = errno;

		close(twin);
		errno = kept;
		return -1;
	}
	rewinddir(dir);
	return list(dir, answer);
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
	unsigned int file = id_of(fd);
	/* On O_APPEND a positioned write goes to the end all the same. */
	bool placed = positioned && flags >= 0 && !(flags & O_APPEND);

	for (long i = 0; i < cells; i++)
		record(data + i * CELL, order->number, i, file,
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
	struct stat st;
	char data[CELL * 32];
	long n;

	/* Where a directory stands decides whether it says EISDIR or EINVAL. */
	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
		return 0;
	n = order->op == PREAD ? pread(fd, data, order->length, order->offset)
			       : read(fd, data, order->length);

	if (n > 0)
		answer->hash = hash_of(data, n);
	return n;
}

/* Writes one record through a shared mapping, or reads through a private one. */
static long through_a_map(const struct order *order, int fd,
			  struct answer *answer)
{
	bool shared = order->flags & 2;
	int prot = shared ? PROT_READ | PROT_WRITE : PROT_READ;
	struct stat st;
	char cell[CELL];

	if (fstat(fd, &st) != 0)
		return -1;
	if (!S_ISREG(st.st_mode) || st.st_size < CELL || st.st_size > 1 << 20) {
		errno = ERANGE;
		return -1;
	}
	long at = order->offset % st.st_size / CELL * CELL;
	char *m = mmap(NULL, st.st_size, prot,
		       shared ? MAP_SHARED : MAP_PRIVATE, fd, 0);

	if (m == MAP_FAILED)
		return -1;
	answer->hash = hash_of(m, st.st_size);
	if (shared) {
		record(cell, order->number, 0, id_of(fd), at);
		memcpy(m + at, cell, CELL);
		if (order->flags & 1)
			msync(m, st.st_size, MS_SYNC);
	}
	return munmap(m, st.st_size) == 0 ? at : -1;
}

static long lock(const struct order *order, int fd, struct answer *answer)
{
	static const short types[] = {F_RDLCK, F_WRLCK, F_WRLCK, F_UNLCK};
	struct flock range = {.l_type = types[order->flags & 3],
			      .l_whence = SEEK_SET,
			      .l_start = order->offset,
			      .l_len = order->flags & 4 ? 0 : order->length};

	if (order->op == OFDLOCK)
		return fcntl(fd, F_OFD_SETLK, &range);
	if (order->op == LOCK)
		return fcntl(fd, F_SETLK, &range);
	if (range.l_type == F_UNLCK)
		range.l_type = F_RDLCK;
	if (fcntl(fd, F_GETLK, &range) != 0)
		return -1;
	snprintf(answer->text, sizeof(answer->text), " %s",
		 range.l_type == F_UNLCK ? "free" : "taken");
	return 0;
}

static long attribute(const struct order *order, int fd, struct answer *answer)
{
	static const char *const names[] = {"user.a", "user.b", "user.long"};
	static const int how[] = {0, 0, XATTR_CREATE, XATTR_REPLACE};
	const char *name = names[order->flags % 3];
	char value[512];
	size_t size = 1 + order->offset % 400, used = 0;
	struct stat st;
	long n;

	/* Those of a directory go with its name. */
	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
		return 0;

	switch (order->op) {
	case SETXATTR:
		memset(value, 'a' + order->number % 26, size);
		return fsetxattr(fd, name, value, size, how[order->slot2 % 4]);
	case REMOVEXATTR:
		return fremovexattr(fd, name);
	case GETXATTR:
		n = fgetxattr(fd, name, value, order->slot2 == 0 ? 3 : 512);
		if (n > 0)
			answer->hash = hash_of(value, n);
		return n;
	default:
		n = flistxattr(fd, value, sizeof(value));
	}
	/* In which order the names come is the file system's own affair. */
	for (size_t i = 0; i < 3; i++)
		for (char *at = value; n > 0 && at < value + n;
		     at += strlen(at) + 1)
			if (strcmp(at, names[i]) == 0)
				used += snprintf(answer->text + used,
						 sizeof(answer->text) - used,
						 " %s", at);
	return n;
}

static long where(struct answer *answer)
{
	char path[PATH_MAX];

	if (!getcwd(path, sizeof(path)))
		return -1;
	snprintf(answer->text, sizeof(answer->text), " %.150s",
		 strncmp(path, top, strlen(top)) == 0 ? path + strlen(top)
						      : path);
	return 0;
}

/* Anew: directly, through a shell, or through a program without the library. */
static void become_anew(int how)
{
	static char script[] = "exec \"$@\"";
	char numbers[SLOTS][16], self[16], many[16], *argv[SLOTS + 12];
	char *launcher = getenv("HISTORY_LAUNCHER");
	int n = 0;

	if (how == 1) {
		argv[n++] = "/bin/sh";
		argv[n++] = "-c";
		argv[n++] = script;
		argv[n++] = "sh";
	} else if (how == 2 && launcher) {
		argv[n++] = launcher;
	}
	argv[n++] = getenv("HISTORY_PROGRAM");
	argv[n++] = top;
	argv[n++] = together ? "worker-together" : "worker-apart";
	snprintf(self, sizeof(self), "%d", me);
	argv[n++] = self;
	snprintf(many, sizeof(many), "%d", workers);
	argv[n++] = many;
	for (int i = 0; i < SLOTS; i++) {
		snprintf(numbers[i], sizeof(numbers[i]), "%d", slots[i]);
		argv[n++] = numbers[i];
	}
	argv[n] = NULL;
	execv(argv[0], argv);
}

static long take(int slot, int got)
{
	if (got >= 0) {
		close(slots[slot]);
		slots[slot] = got;
	}
	return got;
}

/* A description shares OFD locks with a child if somebody asked for one before. */
static void ask_for_locks(int fd)
{
	struct flock range = {.l_type = F_RDLCK};

	fcntl(fd, F_OFD_GETLK, &range);
}

static long names(const struct order *order, struct answer *answer)
{
	static const mode_t modes[] = {0644, 0644, 0600, 0444, 0400};
	static const unsigned int how[] = {0, RENAME_NOREPLACE, RENAME_EXCHANGE,
					   RENAME_NOREPLACE | RENAME_EXCHANGE};
	struct place at = place_of(order, order->path);
	struct place to = place_of(order, order->path2);
	int follow = order->flags & 1 ? AT_SYMLINK_NOFOLLOW : 0;
	struct stat st;
	long got;

	switch (order->op) {
	case OPEN:
		got = openat(at.from, at.text, order->flags, 0644);
		if (got >= 0 && (order->flags & O_CREAT))
			give_id(got, order->number);
		ask_for_locks(got);
		return take(order->slot, got);
	case OPENDIR:
		return take(order->slot,
			    openat(at.from, at.text, O_RDONLY | O_DIRECTORY));
	case STAT:
		if (fstatat(at.from, at.text, &st, follow) != 0)
			return -1;
		tell(&st, answer);
		return 0;
	case ACCESS:
		return faccessat(at.from, at.text, order->flags & 7, 0);
	case CHMOD:
		/* A directory closed to its owner would end the history. */
		if (fstatat(at.from, at.text, &st, 0) != 0)
			return -1;
		return fchmodat(at.from, at.text,
				S_ISDIR(st.st_mode) ? 0755
						    : modes[order->flags % 5],
				0);
	case RENAME:
		return renameat(at.from, at.text, to.from, to.text);
	case RENAME2:
		return renameat2(at.from, at.text, to.from, to.text,
				 how[order->flags % 4]);
	case UNLINK:
		return unlinkat(at.from, at.text, 0);
	case RMDIR:
		return unlinkat(at.from, at.text, AT_REMOVEDIR);
	case MKDIR:
		return mkdirat(at.from, at.text, 0755);
	case SYMLINK:
		return symlinkat(order->path2, at.from, at.text);
	case READLINK:
		got = readlinkat(at.from, at.text, answer->text,
				 sizeof(answer->text) - 1);
		return got;
	case TRUNCATE:
		return truncate(at.text, order->offset);
	case LIST:
		return list(opendir(at.text), answer);
	default:
		return chdir(order->flags & 1 ? home : at.text);
	}
}

static long obey(const struct order *order, struct answer *answer)
{
	static const int ways[] = {LOCK_SH, LOCK_EX, LOCK_EX, LOCK_UN};
	static const int reserve[] = {0, 0, FALLOC_FL_KEEP_SIZE,
				      FALLOC_FL_PUNCH_HOLE |
					      FALLOC_FL_KEEP_SIZE};
	int fd = slots[order->slot], got;
	struct stat st;

	switch (order->op) {
	case CLOSE:
		return close(fd);
	case DUP:
		return take(order->slot2, dup(fd));
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
		/* Positions in a directory are the file system's own affair. */
		if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
			return 0;
		return lseek(fd, order->offset, order->flags % 3);
	case FTRUNCATE:
		return ftruncate(fd, order->offset);
	case ALLOCATE:
		return fallocate(fd, reserve[order->flags % 4], order->offset,
				 order->length);
	case FSTAT:
		if (fstat(fd, &st) != 0)
			return -1;
		tell(&st, answer);
		return 0;
	case LISTFD:
		return list_fd(fd, answer);
	case FCHDIR:
		return together ? fchdir(fd) : 0;
	case GETCWD:
		return where(answer);
	case GETFL:
		got = fcntl(fd, F_GETFL);
		return got < 0 ? got : got & (O_ACCMODE | O_APPEND);
	case SETFL:
		return fcntl(fd, F_SETFL, order->flags & 1 ? O_APPEND : 0);
	case MAP:
		return through_a_map(order, fd, answer);
	case LOCK:
	case GETLOCK:
	case OFDLOCK:
		return lock(order, fd, answer);
	case FLOCK:
		return flock(fd, ways[order->flags & 3] | LOCK_NB);
	case SETXATTR:
	case GETXATTR:
	case LISTXATTR:
	case REMOVEXATTR:
		return attribute(order, fd, answer);
	default:
		return names(order, answer);
	}
}

/* The child becomes worker `who`, with our open files and our directory. */
static pid_t beget(int who)
{
	pid_t pid = fork();

	if (pid == 0) {
		me = who;
		settle();
		work();
	}
	return pid;
}

void work(void)
{
	struct order order;
	struct answer answer;

	while (read(CONTROL + me, &order, sizeof(order)) == sizeof(order)) {
		memset(&answer, 0, sizeof(answer));
		errno = 0;
		if (order.op == QUIT)
			_exit(0);
		if (order.op == FORK) {
			/* The child goes on; the parent waits for its end, and
			 * says so: then all is closed that the child had. */
			pid_t pid = fork();

			if (pid > 0)
				waitpid(pid, NULL, 0);
			else
				answer.value = pid;
		} else if (order.op == BEGET) {
			answer.pid = beget(order.slot % workers);
			answer.value = answer.pid < 0 ? -1 : 0;
		} else if (order.op == EXEC) {
			become_anew(order.flags % 3);
			answer.value = -1;
		} else if (order.op == EXIT) {
			_exit(0);
		} else {
			answer.value = obey(&order, &answer);
		}
		answer.error = answer.value == -1 ? errno : 0;
		if (write(CONTROL + me, &answer, sizeof(answer)) !=
		    sizeof(answer))
			_exit(1);
	}
	_exit(1);
}

/* After exec: the old numbers in their slots, and on with the orders. */
int work_again(char **argv)
{
	struct answer answer = {0};

	me = atoi(argv[3]);
	workers = atoi(argv[4]);
	settle();
	for (int i = 0; i < SLOTS; i++)
		slots[i] = atoi(argv[5 + i]);
	if (write(CONTROL + me, &answer, sizeof(answer)) != sizeof(answer))
		return 1;
	work();
}
