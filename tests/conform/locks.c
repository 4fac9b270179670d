/* Record locks (process and open file description), flock, lockf. */
#include <sys/file.h>
#include "t.h"

struct ask {
	const char *path;
	short type;
	off_t start, len;
	bool want;
};

static struct flock area(short type, off_t start, off_t len)
{
	return (struct flock){.l_type = type,
			      .l_whence = SEEK_SET,
			      .l_start = start,
			      .l_len = len};
}

/* In a child: may it take this lock? */
static void try_in_child(void *arg)
{
	struct ask *ask = arg;
	struct flock lock = area(ask->type, ask->start, ask->len);
	int fd = MUST(open(ask->path, O_RDWR));
	int got = fcntl(fd, F_SETLK, &lock);

	if (ask->want)
		CHECK_EQ(got, 0);
	else
		CHECK(got == -1 && (errno == EAGAIN || errno == EACCES));
	MUST(close(fd));
}

static void may(const char *path, short type, off_t start, off_t len, bool want)
{
	struct ask ask = {path, type, start, len, want};

	CHECK_CHILD(try_in_child, &ask);
}

static void between_processes(void)
{
	char path[PATH_MAX];

	t_into(path, "f");
	t_put(path, "0123456789");
	int fd = MUST(open(path, O_RDWR));
	struct flock lock = area(F_WRLCK, 2, 4);

	CHECK_OK(fcntl(fd, F_SETLK, &lock));
	CHECK_OK(fcntl(fd, F_SETLK, &lock));
	may(path, F_WRLCK, 2, 1, false);
	may(path, F_RDLCK, 5, 1, false);
	may(path, F_WRLCK, 0, 2, true);
	may(path, F_WRLCK, 6, 0, true);
	may(path, F_WRLCK, 0, 0, false);
	lock = area(F_RDLCK, 2, 4);
	CHECK_OK(fcntl(fd, F_SETLK, &lock));
	may(path, F_RDLCK, 0, 0, true);
	may(path, F_WRLCK, 3, 1, false);
	lock = area(F_UNLCK, 2, 2);
	CHECK_OK(fcntl(fd, F_SETLK, &lock));
	may(path, F_WRLCK, 2, 2, true);
	may(path, F_WRLCK, 4, 2, false);
	/* Any close of the file drops the process's locks. */
	int other = MUST(open(path, O_RDONLY));

	CHECK_OK(close(other));
	may(path, F_WRLCK, 0, 0, true);
	CHECK_OK(close(fd));
}

static void who_holds(void *arg)
{
	struct flock lock = area(F_WRLCK, 0, 0);
	int fd = MUST(open(arg, O_RDWR));

	CHECK_OK(fcntl(fd, F_GETLK, &lock));
	CHECK_EQ(lock.l_type, F_RDLCK);
	CHECK_EQ(lock.l_pid, getppid());
	CHECK_EQ(lock.l_start, 1);
	CHECK_EQ(lock.l_len, 5);
	lock = area(F_RDLCK, 0, 0);
	CHECK_OK(fcntl(fd, F_GETLK, &lock));
	CHECK_EQ(lock.l_type, F_UNLCK);
	MUST(close(fd));
}

static void asking(void)
{
	char path[PATH_MAX];

	t_into(path, "f");
	t_put(path, "0123456789");
	int fd = MUST(open(path, O_RDWR));
	struct flock lock = area(F_RDLCK, 1, 5);

	CHECK_OK(fcntl(fd, F_SETLK, &lock));
	CHECK_CHILD(who_holds, path);
	CHECK_OK(close(fd));
}

static void waits(void *arg)
{
	struct flock lock = area(F_WRLCK, 0, 0);
	int fd = MUST(open(arg, O_RDWR));
	char c;

	CHECK_OK(fcntl(fd, F_SETLKW, &lock));
	CHECK_EQ(pread(fd, &c, 1, 0), 1);
	CHECK_EQ(c, 'P');
	MUST(close(fd));
}

static void waiting(void)
{
	char path[PATH_MAX];

	t_into(path, "f");
	t_put(path, "p");
	int fd = MUST(open(path, O_RDWR));
	struct flock lock = area(F_WRLCK, 0, 0);

	CHECK_OK(fcntl(fd, F_SETLK, &lock));
	pid_t pid = t_spawn(waits, path);

	usleep(50000);
	CHECK_EQ(pwrite(fd, "P", 1, 0), 1);
	CHECK_OK(close(fd));
	CHECK_REAP(pid);
}

static void not_inherited(void *arg)
{
	struct flock lock = area(F_WRLCK, 0, 0);

	/* The child inherits the descriptor but not the lock. */
	CHECK_ERRNO2(fcntl(*(int *)arg, F_SETLK, &lock), EAGAIN, EACCES);
}

static void over_fork(void)
{
	struct flock lock = area(F_WRLCK, 0, 0);
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	CHECK_OK(fcntl(fd, F_SETLK, &lock));
	CHECK_CHILD(not_inherited, &fd);
	CHECK_OK(close(fd));
}

static void from_the_end_and_backwards(void)
{
	char path[PATH_MAX];

	t_into(path, "f");
	t_put(path, "0123456789");
	int fd = MUST(open(path, O_RDWR));
	struct flock lock = {.l_type = F_WRLCK,
			     .l_whence = SEEK_END,
			     .l_start = -3,
			     .l_len = 2};

	CHECK_OK(fcntl(fd, F_SETLK, &lock));
	may(path, F_WRLCK, 7, 1, false);
	may(path, F_WRLCK, 9, 1, true);
	CHECK_EQ(lseek(fd, 5, SEEK_SET), 5);
	lock = (struct flock){.l_type = F_WRLCK,
			      .l_whence = SEEK_CUR,
			      .l_start = 0,
			      .l_len = -2};
	CHECK_OK(fcntl(fd, F_SETLK, &lock));
	may(path, F_WRLCK, 3, 1, false);
	may(path, F_WRLCK, 5, 1, true);
	lock = area(F_WRLCK, -5, 1);
	CHECK_ERRNO(fcntl(fd, F_SETLK, &lock), EINVAL);
	lock = area(99, 0, 1);
	CHECK_ERRNO(fcntl(fd, F_SETLK, &lock), EINVAL);
	CHECK_ERRNO(fcntl(fd, F_SETLK, t_bad_pointer(0)), EFAULT);
	CHECK_OK(close(fd));
	fd = MUST(open(path, O_RDONLY));
	lock = area(F_WRLCK, 0, 1);
	CHECK_ERRNO(fcntl(fd, F_SETLK, &lock), EBADF);
	CHECK_OK(close(fd));
}

static void of_descriptions(void)
{
	char path[PATH_MAX];

	t_into(path, "f");
	t_put(path, "0123456789");
	int a = MUST(open(path, O_RDWR)), b = MUST(open(path, O_RDWR));
	struct flock lock = area(F_WRLCK, 0, 0);

	CHECK_OK(fcntl(a, F_OFD_SETLK, &lock));
	CHECK_ERRNO(fcntl(b, F_OFD_SETLK, &lock), EAGAIN);
	lock.l_pid = 0;
	CHECK_OK(fcntl(b, F_OFD_GETLK, &lock));
	CHECK_EQ(lock.l_type, F_WRLCK);
	CHECK_EQ(lock.l_pid, -1);
	int twin = MUST(dup(a));

	CHECK_OK(close(a));
	lock = area(F_WRLCK, 0, 0);
	CHECK_ERRNO(fcntl(b, F_OFD_SETLK, &lock), EAGAIN);
	CHECK_OK(close(twin));
	CHECK_OK(fcntl(b, F_OFD_SETLK, &lock));
	lock.l_pid = 7;
	CHECK_ERRNO(fcntl(b, F_OFD_SETLK, &lock), EINVAL);
	CHECK_OK(close(b));
}

/* The process's own record lock and a description's are two owners. */
static void of_both_kinds(void)
{
	char path[PATH_MAX];

	t_into(path, "f");
	t_put(path, "0123456789");
	int fd = MUST(open(path, O_RDWR)), other = MUST(open(path, O_RDWR));
	struct flock lock = area(F_WRLCK, 4, 4);

	CHECK_OK(fcntl(fd, F_OFD_SETLK, &lock));
	CHECK_ERRNO(fcntl(fd, F_SETLK, &lock), EAGAIN);
	CHECK_ERRNO(fcntl(other, F_SETLK, &lock), EAGAIN);
	lock = area(F_WRLCK, 0, 4);
	CHECK_OK(fcntl(fd, F_SETLK, &lock));
	CHECK_ERRNO(fcntl(fd, F_OFD_SETLK, &lock), EAGAIN);
	CHECK_ERRNO(fcntl(other, F_OFD_SETLK, &lock), EAGAIN);
	int third = MUST(open(path, O_RDWR));

	CHECK_ERRNO(fcntl(third, F_OFD_SETLK, &lock), EAGAIN);
	may(path, F_WRLCK, 0, 1, false);
	may(path, F_WRLCK, 4, 1, false);
	/* Any close of the file ends the former, not the latter. */
	CHECK_OK(close(other));
	may(path, F_WRLCK, 0, 1, true);
	may(path, F_WRLCK, 4, 1, false);
	CHECK_OK(close(third));
	CHECK_OK(close(fd));
	may(path, F_WRLCK, 4, 1, true);
}

/* The process's record lock stands while descriptions come by locks. */
static void beside_a_record_lock(void)
{
	enum { MANY = 20 };
	char path[PATH_MAX];
	int fds[MANY];

	t_into(path, "f");
	t_put(path, "0123456789");
	int fd = MUST(open(path, O_RDWR));
	struct flock lock = area(F_WRLCK, 100, 10);

	CHECK_OK(fcntl(fd, F_SETLK, &lock));
	for (int i = 0; i < MANY; i++) {
		fds[i] = MUST(open(path, O_RDWR));
		lock = area(F_WRLCK, i, 1);
		CHECK_OK(fcntl(fds[i], F_OFD_SETLK, &lock));
		lock = area(F_WRLCK, 100 + i % 10, 1);
		CHECK_ERRNO(fcntl(fds[i], F_OFD_SETLK, &lock), EAGAIN);
		if (i > 0) {
			lock = area(F_RDLCK, i - 1, 1);
			CHECK_ERRNO(fcntl(fds[i], F_OFD_SETLK, &lock), EAGAIN);
		}
	}
	/* The next number is the lowest free one. */
	int next = MUST(open(path, O_RDWR));

	CHECK_EQ(next, fds[MANY - 1] + 1);
	lock = area(F_WRLCK, 0, MANY);
	CHECK_OK(fcntl(next, F_OFD_GETLK, &lock));
	CHECK_EQ(lock.l_pid, -1);
	lock = area(F_WRLCK, 100, 0);
	CHECK_OK(fcntl(next, F_OFD_GETLK, &lock));
	CHECK_EQ(lock.l_pid, getpid());
	may(path, F_WRLCK, 100, 1, false);
	may(path, F_WRLCK, MANY - 1, 1, false);
	may(path, F_WRLCK, MANY, 1, true);
	/* With the first close of the file the record lock goes, the others stay. */
	CHECK_OK(close(next));
	may(path, F_WRLCK, 100, 10, true);
	for (int i = 0; i < MANY; i++) {
		may(path, F_WRLCK, i, 1, false);
		CHECK_OK(close(fds[i]));
		may(path, F_WRLCK, i, 1, true);
	}
	CHECK_OK(close(fd));
}

static void locks_both_ways(void *arg)
{
	struct flock lock = area(F_WRLCK, 8, 1);
	int fd = *(int *)arg;

	CHECK_OK(flock(fd, LOCK_EX | LOCK_NB));
	CHECK_OK(fcntl(fd, F_OFD_SETLK, &lock));
}

/* A child shares the description, and so its locks, also with O_CLOEXEC. */
static void of_a_shared_description(void)
{
	char path[PATH_MAX];

	t_into(path, "f");
	t_put(path, "0123456789");
	int fd = MUST(open(path, O_RDWR | O_CLOEXEC));
	int other = MUST(open(path, O_RDWR));
	struct flock lock = area(F_WRLCK, 0, 1);

	CHECK_OK(fcntl(other, F_OFD_SETLK, &lock));
	CHECK_CHILD(locks_both_ways, &fd);
	CHECK_ERRNO(flock(other, LOCK_SH | LOCK_NB), EWOULDBLOCK);
	CHECK_OK(flock(fd, LOCK_EX | LOCK_NB));
	lock = area(F_WRLCK, 8, 1);
	CHECK_ERRNO(fcntl(other, F_OFD_SETLK, &lock), EAGAIN);
	CHECK_OK(fcntl(fd, F_OFD_SETLK, &lock));
	CHECK_OK(close(fd));
	CHECK_OK(flock(other, LOCK_EX | LOCK_NB));
	CHECK_OK(fcntl(other, F_OFD_SETLK, &lock));
	CHECK_OK(close(other));
}

static void locks_a_directory(void *arg)
{
	CHECK_OK(flock(*(int *)arg, LOCK_EX | LOCK_NB));
}

static void of_a_shared_directory(void)
{
	int fd = MUST(open(t_dir, O_RDONLY | O_DIRECTORY));
	int other = MUST(open(t_dir, O_RDONLY | O_DIRECTORY));

	CHECK_CHILD(locks_a_directory, &fd);
	CHECK_ERRNO(flock(other, LOCK_SH | LOCK_NB), EWOULDBLOCK);
	CHECK_OK(flock(fd, LOCK_SH | LOCK_NB));
	CHECK_OK(close(fd));
	CHECK_OK(flock(other, LOCK_EX | LOCK_NB));
	CHECK_OK(close(other));
}

static void whole_file(void)
{
	t_put(t_at("f"), "x");
	int a = MUST(open(t_at("f"), O_RDWR)),
	    b = MUST(open(t_at("f"), O_RDONLY));

	CHECK_OK(flock(a, LOCK_EX));
	CHECK_ERRNO(flock(b, LOCK_SH | LOCK_NB), EWOULDBLOCK);
	CHECK_OK(flock(a, LOCK_SH));
	CHECK_OK(flock(b, LOCK_SH | LOCK_NB));
	CHECK_ERRNO(flock(a, LOCK_EX | LOCK_NB), EWOULDBLOCK);
	CHECK_OK(flock(b, LOCK_UN));
	CHECK_OK(flock(a, LOCK_EX | LOCK_NB));
	/* The lock belongs to the description: a dup holds it on. */
	int twin = MUST(dup(a));

	CHECK_OK(close(a));
	CHECK_ERRNO(flock(b, LOCK_EX | LOCK_NB), EWOULDBLOCK);
	CHECK_OK(close(twin));
	CHECK_OK(flock(b, LOCK_EX | LOCK_NB));
	CHECK_ERRNO(flock(b, 77), EINVAL);
	CHECK_ERRNO(flock(-1, LOCK_EX), EBADF);
	CHECK_OK(close(b));
	int dir = MUST(open(t_dir, O_RDONLY | O_DIRECTORY));

	CHECK_OK(flock(dir, LOCK_EX | LOCK_NB));
	CHECK_OK(close(dir));
}

static void flock_in_child(void *arg)
{
	int fd = MUST(open(arg, O_RDONLY));

	CHECK_ERRNO(flock(fd, LOCK_EX | LOCK_NB), EWOULDBLOCK);
	MUST(close(fd));
}

static void flock_between_processes(void)
{
	char path[PATH_MAX];

	t_into(path, "f");
	t_put(path, "x");
	int fd = MUST(open(path, O_RDWR));

	CHECK_OK(flock(fd, LOCK_EX));
	CHECK_CHILD(flock_in_child, path);
	CHECK_OK(close(fd));
}

static void lockf_form(void)
{
	char path[PATH_MAX];

	t_into(path, "f");
	t_put(path, "0123456789");
	int fd = MUST(open(path, O_RDWR));

	CHECK_EQ(lseek(fd, 4, SEEK_SET), 4);
	CHECK_OK(lockf(fd, F_TLOCK, 3));
	may(path, F_WRLCK, 4, 1, false);
	may(path, F_WRLCK, 0, 4, true);
	CHECK_OK(lockf(fd, F_TEST, 3));
	CHECK_OK(lockf(fd, F_ULOCK, 3));
	may(path, F_WRLCK, 4, 1, true);
	CHECK_ERRNO(lockf(fd, 77, 3), EINVAL);
	CHECK_OK(close(fd));
}

T_MAIN(CASE(between_processes), CASE(asking), CASE(waiting), CASE(over_fork),
       CASE(from_the_end_and_backwards), CASE(of_descriptions),
       CASE(of_both_kinds), CASE(beside_a_record_lock),
       CASE(of_a_shared_description), CASE(of_a_shared_directory),
       CASE(whole_file), CASE(flock_between_processes), CASE(lockf_form))
