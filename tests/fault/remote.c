/*
 * Two sessions that know nothing of each other, as on two nodes: between every
 * two calls of the first, the other unlinks, replaces, truncates or moves what
 * it works with. Each call then does what POSIX says or fails; what is read is
 * never another file's, never zeros nobody wrote, never an early end.
 *
 *	remote DIR first	works, and orders the other by stdout and stdin
 *	remote DIR other	does what it is told
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIZE 256
#define PLACE 64 /* where the first writes */

/* Whose bytes: the file at first, what the first writes, its successor's, a
 * stranger's. */
#define OLD 'o'
#define OWN 'w'
#define NEXT 'n'
#define STRANGE 's'

static char top[PATH_MAX];
static int wrong;

static char *at(const char *fmt, ...)
{
	static char bufs[8][PATH_MAX];
	static unsigned int next;
	char *buf = bufs[next++ % 8];
	int len = snprintf(buf, PATH_MAX, "%.3000s/", top);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf + len, PATH_MAX - len, fmt, ap);
	va_end(ap);
	return buf;
}

static int put(const char *path, char what)
{
	char data[SIZE];
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	memset(data, what, SIZE);
	if (fd < 0 || write(fd, data, SIZE) != SIZE)
		return -1;
	return close(fd);
}

/* ------------------------------------------------------------- the other */

static int do_unlink(int n)
{
	return unlink(at("%d/p/f", n));
}

static int do_replace(int n)
{
	return put(at("%d/next", n), NEXT) ||
	       rename(at("%d/next", n), at("%d/p/f", n));
}

static int do_make_anew(int n)
{
	return do_unlink(n) || put(at("%d/p/f", n), NEXT);
}

static int do_truncate(int n)
{
	return truncate(at("%d/p/f", n), 0);
}

static int do_shorten(int n)
{
	return truncate(at("%d/p/f", n), 8);
}

static int do_move_file(int n)
{
	return rename(at("%d/p/f", n), at("%d/moved", n));
}

static int do_move_parent(int n)
{
	return rename(at("%d/p", n), at("%d/q", n));
}

static int do_exchange_parent(int n)
{
	return do_move_parent(n) || mkdir(at("%d/p", n), 0755) ||
	       put(at("%d/p/f", n), STRANGE);
}

static int do_remove_parent(int n)
{
	unlink(at("%d/p/f", n));
	unlink(at("%d/p/h", n));
	unlink(at("%d/p/made", n));
	return rmdir(at("%d/p", n));
}

static const struct change {
	const char *name;
	int (*make)(int n);
	bool goes;   /* the file is no more, or under no name the first knows */
	bool short_; /* it may be shorter, and have holes after a write */
} changes[] = {
	{"unlink", do_unlink, true, false},
	{"replace", do_replace, true, false},
	{"make anew", do_make_anew, true, false},
	{"truncate", do_truncate, false, true},
	{"shorten", do_shorten, false, true},
	{"move the file", do_move_file, false, false},
	{"move the parent", do_move_parent, false, false},
	{"exchange the parent", do_exchange_parent, false, false},
	{"remove the parent", do_remove_parent, true, false},
};
#define CHANGES ((int)(sizeof(changes) / sizeof(changes[0])))

static int other(void)
{
	char line[64];

	while (fgets(line, sizeof(line), stdin)) {
		int change, n;

		if (sscanf(line, "%d %d", &change, &n) != 2)
			break;
		/* Some find their file gone by the first's own doing. */
		printf("%d\n", changes[change].make(n) ? errno : 0);
		fflush(stdout);
	}
	return 0;
}

/* ------------------------------------------------------------- the first */

static struct {
	int n, fd, dirfd, step;
	bool written, changed;
	const struct change *change;
} now;

static void complain(const char *what)
{
	fprintf(stderr, "%s after step %d, %s: %s (errno %d)\n",
		now.change->name, now.step, now.changed ? "changed" : "not yet",
		what, errno);
	wrong++;
}

static void look_at(const char *data, ssize_t n, const char *allowed)
{
	for (ssize_t i = 0; i < n; i++) {
		bool hole = data[i] == 0 && now.changed && now.change->short_;

		if ((data[i] && strchr(allowed, data[i])) || hole)
			continue;
		complain(data[i] == 0	      ? "zeros that nobody wrote"
			 : data[i] == STRANGE ? "a stranger's bytes"
					      : "bytes of another file");
		return;
	}
}

static void by_descriptor(off_t where)
{
	char data[16];
	ssize_t n = now.fd < 0 ? -1 : pread(now.fd, data, 16, where);

	if (n < 0)
		return;
	if (n < 16 && !(now.changed && now.change->short_))
		complain("an early end");
	look_at(data, n, "ow");
}

static void opens(void)
{
	now.fd = open(at("%d/p/f", now.n), O_RDWR);
	if (now.fd < 0 && !now.changed)
		complain("open");
}

static void reads(void)
{
	by_descriptor(0);
}

static void writes(void)
{
	char data[16];

	memset(data, OWN, 16);
	if (now.fd >= 0 && pwrite(now.fd, data, 16, PLACE) == 16)
		now.written = true;
}

static void reads_again(void)
{
	by_descriptor(PLACE);
	by_descriptor(16);
}

static void looks(void)
{
	struct stat st;

	if (now.fd < 0 || fstat(now.fd, &st) != 0)
		return;
	if (st.st_size != SIZE && st.st_nlink != 0 &&
	    !(now.changed && now.change->short_))
		complain("another size");
}

static void lists(void)
{
	DIR *dir = opendir(at("%d/p", now.n));
	struct dirent *entry;
	int count = 0;

	if (!dir)
		return;
	while ((entry = readdir(dir)))
		count++;
	closedir(dir);
	if (!now.changed && count != 3)
		complain("another list");
}

static void opens_again(void)
{
	char data[16];
	int fd = open(at("%d/p/f", now.n), O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, data, 16);

	if (n >= 0 && n < 16 && !(now.changed && now.change->short_))
		complain("an early end by name");
	if (n > 0)
		look_at(data, n, "owns");
	close(fd);
}

static void goes_there(void)
{
	if (chdir(at("%d/p", now.n)) != 0)
		return;
	int fd = open("f", O_RDONLY);
	char data[16];
	ssize_t n = fd < 0 ? -1 : read(fd, data, 16);

	if (n > 0)
		look_at(data, n, "owns");
	close(fd);
}

static void works_there(void)
{
	char path[PATH_MAX];
	int fd = open("made", O_RDWR | O_CREAT, 0644);

	if (fd >= 0 && write(fd, "wwww", 4) != 4)
		complain("a short write");
	close(fd);
	if (getcwd(path, sizeof(path)) && !now.changed &&
	    strcmp(path, at("%d/p", now.n)) != 0)
		complain("another path");
	if (chdir("/") != 0)
		complain("chdir /");
}

static void renames(void)
{
	if (rename(at("%d/p/f", now.n), at("%d/p/h", now.n)) != 0 &&
	    !now.changed)
		complain("rename");
	by_descriptor(0);
}

static void closes(void)
{
	if (now.fd >= 0 && close(now.fd) != 0)
		complain("close");
	now.fd = -1;
}

static void (*const steps[])(void) = {
	opens,	 reads,	      writes,	  reads_again, looks,
	lists,	 opens_again, goes_there, works_there, reads_again,
	renames, reads_again, closes};
#define STEPS ((int)(sizeof(steps) / sizeof(steps[0])))

static void order(int change)
{
	char line[64];

	printf("%d %d\n", change, now.n);
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin)) {
		fprintf(stderr, "the other is gone\n");
		exit(1);
	}
	now.changed = true;
}

static int first(void)
{
	int n = 0;

	for (int change = 0; change < CHANGES; change++) {
		for (int after = 0; after < STEPS; after++) {
			memset(&now, 0, sizeof(now));
			now.n = n++;
			now.fd = -1;
			now.change = &changes[change];
			if (mkdir(at("%d", now.n), 0755) != 0 ||
			    mkdir(at("%d/p", now.n), 0755) != 0 ||
			    put(at("%d/p/f", now.n), OLD) != 0) {
				perror("the beginning");
				return 1;
			}
			for (now.step = 0; now.step < STEPS; now.step++) {
				steps[now.step]();
				if (now.step == after)
					order(change);
			}
		}
	}
	return wrong != 0;
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	snprintf(top, sizeof(top), "%s", argv[1]);
	umask(022);
	return strcmp(argv[2], "other") == 0 ? other() : first();
}
