/* Whose locks are whose: processes, descriptions, exec, fork; one file's kinds together. */
#include <sys/file.h>
#include "t.h"

static struct flock area(short type, off_t start, off_t len)
{
	return (struct flock){.l_type = type,
			      .l_whence = SEEK_SET,
			      .l_start = start,
			      .l_len = len};
}

struct ask {
	const char *path;
	off_t start, len;
	pid_t holder; /* 0: nobody */
};

static void look(void *arg)
{
	struct ask *ask = arg;
	struct flock lock = area(F_WRLCK, ask->start, ask->len);
	int fd = MUST(open(ask->path, O_RDWR));

	CHECK_OK(fcntl(fd, F_GETLK, &lock));
	if (ask->holder) {
		CHECK(lock.l_type != F_UNLCK);
		CHECK_EQ(lock.l_pid, ask->holder);
	} else {
		CHECK_EQ(lock.l_type, F_UNLCK);
	}
	MUST(close(fd));
}

/* Seen from a child, who holds the range? */
static void holds(const char *path, off_t start, off_t len, pid_t holder)
{
	struct ask ask = {path, start, len, holder};

	CHECK_CHILD(look, &ask);
}

static void ranges(void)
{
	char path[PATH_MAX];
	pid_t me = getpid();

	t_into(path, "f");
	t_put(path, "0123456789");
	int fd = MUST(open(path, O_RDWR));
	struct flock lock = area(F_WRLCK, 10, 10);

	CHECK_OK(fcntl(fd, F_SETLK, &lock));
	lock = area(F_UNLCK, 13, 4); /* in two */
	CHECK_OK(fcntl(fd, F_SETLK, &lock));
	holds(path, 10, 3, me);
	holds(path, 13, 4, 0);
	holds(path, 17, 3, me);
	holds(path, 20, 0, 0);
	lock = area(F_RDLCK, 12, 6); /* converts the edges */
	CHECK_OK(fcntl(fd, F_SETLK, &lock));
	lock = area(F_WRLCK, 5, 3);
	CHECK_OK(fcntl(fd, F_GETLK, &lock));
	CHECK_EQ(lock.l_type, F_UNLCK);
	CHECK_EQ(lock.l_start, 5);
	holds(path, 12, 6, me);
	lock = area(F_UNLCK, 0, 0);
	CHECK_OK(fcntl(fd, F_SETLK, &lock));
	holds(path, 0, 0, 0);
	lock = area(F_WRLCK, 100, 0); /* to the end, wherever */
	CHECK_OK(fcntl(fd, F_SETLK, &lock));
	holds(path, 1LL << 40, 1, me);
	holds(path, 0, 100, 0);
	lock = area(F_WRLCK, 20, -5); /* 15..19 */
	CHECK_OK(fcntl(fd, F_SETLK, &lock));
	holds(path, 15, 5, me);
	holds(path, 10, 5, 0);
	holds(path, 20, 1, 0);
	lock = area(F_WRLCK, 3, -5);
	CHECK_ERRNO(fcntl(fd, F_SETLK, &lock), EINVAL);
	lock = area(F_WRLCK, LLONG_MAX, 2);
	CHECK_ERRNO(fcntl(fd, F_SETLK, &lock), EOVERFLOW);
	lock = (struct flock){.l_type = F_WRLCK, .l_whence = 9};
	CHECK_ERRNO(fcntl(fd, F_SETLK, &lock), EINVAL);
	CHECK_OK(close(fd));
	holds(path, 0, 0, 0);
}

/* Any close of any descriptor of the file: dup's, dup2 over it, another open's. */
static void lost_at_any_close(void)
{
	char path[PATH_MAX];
	pid_t me = getpid();

	t_into(path, "f");
	t_put(path, "x");
	t_put(t_at("g"), "x");
	int fd = MUST(open(path, O_RDWR)), g = MUST(open(t_at("g"), O_RDWR));
	struct flock lock = area(F_WRLCK, 0, 0);

	CHECK_OK(fcntl(fd, F_SETLK, &lock));
	int twin = MUST(dup(fd));

	holds(path, 0, 0, me);
	CHECK_OK(close(twin));
	holds(path, 0, 0, 0);
	CHECK_OK(fcntl(fd, F_SETLK, &lock));
	holds(path, 0, 0, me);
	twin = MUST(open(path, O_RDONLY));
	holds(path, 0, 0, me);
	CHECK_OK(dup2(g, twin));
	holds(path, 0, 0, 0);
	CHECK_OK(close(twin));
	CHECK_OK(fcntl(fd, F_SETLK, &lock));
	FILE *stream = MUST_PTR(fopen(path, "r"));

	CHECK_EQ(fgetc(stream), 'x');
	CHECK_EQ(fclose(stream), 0);
	holds(path, 0, 0, 0);
	/* Another file's close does nothing. */
	CHECK_OK(fcntl(fd, F_SETLK, &lock));
	CHECK_OK(close(g));
	holds(path, 0, 0, me);
	/* And again after all that. */
	CHECK_OK(close(fd));
	holds(path, 0, 0, 0);
	fd = MUST(open(path, O_RDWR));
	CHECK_OK(fcntl(fd, F_SETLK, &lock));
	holds(path, 0, 0, me);
	CHECK_OK(unlink(path));
	CHECK_OK(close(fd));
}

/* A child's close frees nothing of the parent's; its exit neither. */
static void closes(void *arg)
{
	CHECK_OK(close(*(int *)arg));
}

static void child_closes(void)
{
	char path[PATH_MAX];

	t_into(path, "f");
	t_put(path, "x");
	int fd = MUST(open(path, O_RDWR));
	struct flock lock = area(F_WRLCK, 0, 0);

	CHECK_OK(fcntl(fd, F_SETLK, &lock));
	CHECK_CHILD(closes, &fd);
	holds(path, 0, 0, getpid());
	CHECK_OK(close(fd));
}

/* Both kinds on one file, by one process: they exclude each other, whoever comes first. */
static void two_kinds(void)
{
	char path[PATH_MAX];

	t_into(path, "f");
	t_put(path, "0123456789");
	int fd = MUST(open(path, O_RDWR)), b = MUST(open(path, O_RDWR));
	struct flock lock = area(F_WRLCK, 0, 4);

	CHECK_OK(fcntl(fd, F_SETLK, &lock));
	lock = area(F_WRLCK, 4, 4);
	CHECK_OK(fcntl(fd, F_OFD_SETLK, &lock));
	holds(path, 0, 4, getpid());
	lock = area(F_WRLCK, 2, 4);
	CHECK_ERRNO2(fcntl(fd, F_OFD_SETLK, &lock), EAGAIN, EACCES);
	CHECK_ERRNO2(fcntl(fd, F_SETLK, &lock), EAGAIN, EACCES);
	lock = area(F_WRLCK, 0, 1);
	lock.l_pid = 0;
	CHECK_OK(fcntl(fd, F_OFD_GETLK, &lock));
	CHECK_EQ(lock.l_type, F_WRLCK);
	CHECK_EQ(lock.l_pid, getpid());
	lock = area(F_WRLCK, 4, 1);
	CHECK_OK(fcntl(fd, F_GETLK, &lock));
	CHECK_EQ(lock.l_type, F_WRLCK);
	CHECK_EQ(lock.l_pid, -1);
	/* The process's go at a close, the description's stay. */
	CHECK_OK(close(b));
	holds(path, 0, 4, 0);
	holds(path, 4, 4, -1);
	lock = area(F_WRLCK, 0, 4);
	CHECK_OK(fcntl(fd, F_SETLK, &lock));
	CHECK_OK(flock(fd, LOCK_EX | LOCK_NB)); /* a third world */
	holds(path, 0, 4, getpid());
	CHECK_OK(close(fd));
	holds(path, 0, 0, 0);
}

/* flock and a record lock together, as mail programs do, in both orders. */
static void mailbox(void)
{
	char path[PATH_MAX];

	t_into(path, "f");
	t_put(path, "x");
	for (int i = 0; i < 2; i++) {
		int fd = MUST(open(path, O_RDWR)), b = MUST(open(path, O_RDWR));
		struct flock lock = area(F_WRLCK, 0, 0);

		if (i)
			CHECK_OK(flock(fd, LOCK_EX));
		CHECK_OK(fcntl(fd, F_SETLK, &lock));
		if (!i)
			CHECK_OK(flock(fd, LOCK_EX));
		holds(path, 0, 0, getpid());
		CHECK_ERRNO(flock(b, LOCK_SH | LOCK_NB), EWOULDBLOCK);
		CHECK_OK(flock(fd, LOCK_UN));
		CHECK_OK(flock(b, LOCK_SH | LOCK_NB));
		holds(path, 0, 0, getpid());
		CHECK_OK(close(b));
		holds(path, 0, 0, 0);
		CHECK_OK(close(fd));
	}
}

/* In the new program, started by the case below. */
static void after_exec(void)
{
	const char *text = getenv("T_LOCKED");

	if (!text)
		SKIP_CASE(
			"runs only in the program that kept_over_exec starts");
	int fd = atoi(text);
	const char *path = getenv("T_PATH");

	holds(path, 0, 5, getpid());
	holds(path, 5, 5, -1);
	int other = MUST(open(getenv("T_FLOCKED"), O_RDWR));

	CHECK_ERRNO(flock(other, LOCK_SH | LOCK_NB), EWOULDBLOCK);
	/* A descriptor of that one was closed on the way. */
	holds(getenv("T_CLOSED"), 0, 0, 0);
	struct flock lock = area(F_UNLCK, 0, 5);

	CHECK_OK(fcntl(fd, F_SETLK, &lock));
	holds(path, 0, 5, 0);
	lock = area(F_UNLCK, 5, 5);
	CHECK_OK(fcntl(fd, F_OFD_SETLK, &lock));
	holds(path, 0, 0, 0);
	MUST(close(fd));
}

static void execs(void *arg)
{
	char path[PATH_MAX], number[16];
	struct flock lock = area(F_WRLCK, 5, 5);

	(void)arg;
	t_into(path, "f");
	int fd = MUST(open(path, O_RDWR));
	int flocked = MUST(open(t_at("g"), O_RDWR));

	CHECK_OK(fcntl(fd, F_OFD_SETLK, &lock));
	lock = area(F_WRLCK, 0, 5);
	CHECK_OK(fcntl(fd, F_SETLK, &lock));
	CHECK_OK(flock(flocked, LOCK_EX));
	int closed = MUST(open(t_at("h"), O_RDWR | O_CLOEXEC));

	MUST(dup(closed));
	CHECK_OK(fcntl(closed, F_SETLK, &lock));
	snprintf(number, sizeof(number), "%d", fd);
	setenv("T_LOCKED", number, 1);
	setenv("T_PATH", path, 1);
	setenv("T_FLOCKED", t_at("g"), 1);
	setenv("T_CLOSED", t_at("h"), 1);
	execl(t_self, t_self, t_at("in-exec"), "kernel", "after_exec",
	      (char *)NULL);
	t_fail(T_HERE, "exec: %d", errno);
}

static void kept_over_exec(void)
{
	t_put(t_at("f"), "0123456789");
	t_put(t_at("g"), "x");
	t_put(t_at("h"), "x");
	CHECK_CHILD(execs, NULL);
	holds(t_at("f"), 0, 0, 0);
}

/* flock over dup and fork is one lock: who unlocks, unlocks for all. */
static void unlocks(void *arg)
{
	CHECK_OK(flock(*(int *)arg, LOCK_EX | LOCK_NB));
	CHECK_OK(flock(*(int *)arg, LOCK_UN));
}

static void shared_flock(void)
{
	t_put(t_at("f"), "x");
	int fd = MUST(open(t_at("f"), O_RDWR)),
	    other = MUST(open(t_at("f"), O_RDWR));

	CHECK_OK(flock(fd, LOCK_EX));
	CHECK_CHILD(unlocks, &fd);
	CHECK_OK(flock(other, LOCK_EX | LOCK_NB));
	CHECK_ERRNO(flock(fd, LOCK_EX | LOCK_NB), EWOULDBLOCK);
	CHECK_OK(flock(other, LOCK_UN));
	int twin = MUST(dup(fd));

	CHECK_OK(flock(twin, LOCK_EX | LOCK_NB));
	CHECK_OK(flock(fd, LOCK_EX | LOCK_NB));
	CHECK_OK(close(fd));
	CHECK_ERRNO(flock(other, LOCK_EX | LOCK_NB), EWOULDBLOCK);
	CHECK_OK(close(twin));
	CHECK_OK(flock(other, LOCK_EX | LOCK_NB));
	CHECK_OK(close(other));
}

/* The lock is the description's: a child keeps it after the parent's last close. */
static void sleeps(void *arg)
{
	char c;

	CHECK_EQ(read(*(int *)arg, &c, 1), 0);
}

static void kept_by_a_child(void)
{
	int gate[2];

	t_put(t_at("f"), "x");
	for (int kind = 0; kind < 2; kind++) {
		struct flock lock = area(F_WRLCK, 0, 0);
		int fd = MUST(open(t_at("f"), O_RDWR));

		MUST(pipe2(gate, O_CLOEXEC));
		if (kind)
			CHECK_OK(fcntl(fd, F_OFD_SETLK, &lock));
		else
			CHECK_OK(flock(fd, LOCK_EX));
		pid_t pid = MUST(fork());

		if (pid == 0) {
			MUST(close(gate[1]));
			t_failures = 0;
			sleeps(gate);
			_exit(t_failures != 0);
		}
		CHECK_OK(close(fd));
		fd = MUST(open(t_at("f"), O_RDWR));
		if (kind)
			CHECK_ERRNO(fcntl(fd, F_OFD_SETLK, &lock), EAGAIN);
		else
			CHECK_ERRNO(flock(fd, LOCK_EX | LOCK_NB), EWOULDBLOCK);
		MUST(close(gate[1]));
		CHECK_REAP(pid);
		if (kind)
			CHECK_OK(fcntl(fd, F_OFD_SETLK, &lock));
		else
			CHECK_OK(flock(fd, LOCK_EX | LOCK_NB));
		CHECK_OK(close(fd));
		MUST(close(gate[0]));
	}
}

T_MAIN(CASE(ranges), CASE(lost_at_any_close), CASE(child_closes),
       CASE(two_kinds), CASE(mailbox), CASE(after_exec), CASE(kept_over_exec),
       CASE(shared_flock), CASE(kept_by_a_child))
