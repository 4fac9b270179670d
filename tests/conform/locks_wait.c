/* Waiting for locks: signals, restarts, cancellation, deadlock, conversion. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/time.h>
#include <time.h>
#include "t.h"

enum how { RECORD, DESCRIPTION, WHOLE };

static struct flock area(short type, off_t start, off_t len)
{
	return (struct flock){.l_type = type,
			      .l_whence = SEEK_SET,
			      .l_start = start,
			      .l_len = len};
}

/* Waits for the exclusive lock of the whole file, in one of three ways. */
static int take(int fd, enum how how)
{
	struct flock lock = area(F_WRLCK, 0, 0);

	if (how == WHOLE)
		return flock(fd, LOCK_EX);
	return fcntl(fd, how == RECORD ? F_SETLKW : F_OFD_SETLKW, &lock);
}

static int give(int fd, enum how how)
{
	struct flock lock = area(F_UNLCK, 0, 0);

	if (how == WHOLE)
		return flock(fd, LOCK_UN);
	return fcntl(fd, how == RECORD ? F_SETLK : F_OFD_SETLK, &lock);
}

/* A child that holds the lock until told to end. */
struct holder {
	pid_t pid;
	int go[2];
};

static struct holder hold(const char *path, enum how how)
{
	struct holder h;
	int ready[2];
	char c = 0;

	MUST(pipe(ready));
	MUST(pipe(h.go));
	h.pid = MUST(fork());
	if (h.pid == 0) {
		int fd = MUST(open(path, O_RDWR));

		MUST(close(h.go[1]));
		MUST(take(fd, how));
		MUST(write(ready[1], "r", 1));
		_exit(read(h.go[0], &c, 1) < 0);
	}
	CHECK_EQ(read(ready[0], &c, 1), 1);
	MUST(close(ready[0]));
	MUST(close(ready[1]));
	MUST(close(h.go[0]));
	return h;
}

static void let_go(struct holder *h)
{
	MUST(close(h->go[1]));
	CHECK_REAP(h->pid);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static volatile int handled;
static volatile int release_fd = -1;

static void count(int sig)
{
	(void)sig;
	handled++;
}

/* Lets the holder go at the third alarm. */
static void count_and_release(int sig)
{
	(void)sig;
	if (++handled == 3)
		close(release_fd);
}

static void every_20_ms(void (*handler)(int), int flags)
{
	struct sigaction act = {.sa_handler = handler, .sa_flags = flags};
	struct itimerval t = {{0, 20000}, {0, 20000}};

	handled = 0;
	MUST(sigaction(SIGALRM, &act, NULL));
	MUST(setitimer(ITIMER_REAL, &t, NULL));
}

static void no_alarm(void)
{
	struct itimerval t = {{0, 0}, {0, 0}};

	MUST(setitimer(ITIMER_REAL, &t, NULL));
	signal(SIGALRM, SIG_DFL);
}

static void interrupted(void)
{
	t_put(t_at("f"), "x");
	int fd = MUST(open(t_at("f"), O_RDWR));

	for (enum how how = RECORD; how <= WHOLE; how++) {
		struct holder h = hold(t_at("f"), how);

		every_20_ms(count, 0);
		CHECK_ERRNO(take(fd, how), EINTR);
		no_alarm();
		CHECK(handled > 0);
		let_go(&h);
		CHECK_OK(take(fd, how));
		CHECK_OK(give(fd, how));
	}
	CHECK_OK(close(fd));
}

/* SA_RESTART: handlers run in the middle, the call goes on and gets the lock. */
static void restarted(void)
{
	t_put(t_at("f"), "x");
	int fd = MUST(open(t_at("f"), O_RDWR));

	for (enum how how = RECORD; how <= WHOLE; how++) {
		struct holder h = hold(t_at("f"), how);

		release_fd = h.go[1];
		every_20_ms(count_and_release, SA_RESTART);
		CHECK_OK(take(fd, how));
		CHECK(handled >= 3);
		no_alarm();
		CHECK_REAP(h.pid);
		CHECK_OK(give(fd, how));
	}
	CHECK_OK(close(fd));
}

static sigjmp_buf away;

static void jump(int sig)
{
	(void)sig;
	siglongjmp(away, 1);
}

static void left_by_a_jump(void)
{
	t_put(t_at("f"), "x");
	int fd = MUST(open(t_at("f"), O_RDWR));

	for (volatile enum how how = RECORD; how <= WHOLE; how++) {
		struct holder h = hold(t_at("f"), how);

		if (sigsetjmp(away, 1) == 0) {
			every_20_ms(jump, SA_RESTART);
			take(fd, how);
			t_fail(T_HERE, "the lock came");
		}
		no_alarm();
		CHECK_EQ(pwrite(fd, "y", 1, 0), 1);
		let_go(&h);
		CHECK_OK(take(fd, how));
		CHECK_OK(give(fd, how));
	}
	CHECK_OK(close(fd));
}

/* A handler may use files, and locks, while the thread waits. */
static volatile int other_fd;

static void uses_files(int sig)
{
	struct flock lock = area(F_WRLCK, 100 + handled, 1);

	(void)sig;
	CHECK_EQ(pwrite(other_fd, "h", 1, handled), 1);
	CHECK_OK(fcntl(other_fd, F_SETLKW, &lock));
	if (++handled == 3)
		close(release_fd);
}

static void handlers_use_files(void)
{
	t_put(t_at("f"), "x");
	t_put(t_at("g"), "");
	int fd = MUST(open(t_at("f"), O_RDWR));

	other_fd = MUST(open(t_at("g"), O_RDWR));
	for (enum how how = RECORD; how <= WHOLE; how++) {
		struct holder h = hold(t_at("f"), how);

		release_fd = h.go[1];
		every_20_ms(uses_files, SA_RESTART);
		CHECK_OK(take(fd, how));
		no_alarm();
		CHECK_REAP(h.pid);
		CHECK_OK(give(fd, how));
	}
	CHECK(t_size(t_at("g")) >= 3);
	CHECK_OK(close(other_fd));
	CHECK_OK(close(fd));
}

static void *waits(void *arg)
{
	int fd = *(int *)arg;
	struct flock lock = area(F_WRLCK, 0, 0);

	fcntl(fd, F_SETLKW, &lock);
	return NULL;
}

/* F_SETLKW is a cancellation point, also in its middle. */
static void cancelled(void)
{
	pthread_t thread;
	void *result;

	t_put(t_at("f"), "x");
	int fd = MUST(open(t_at("f"), O_RDWR));
	struct holder h = hold(t_at("f"), RECORD);

	for (int i = 0; i < 5; i++) {
		result = NULL;
		CHECK_ERR(pthread_create(&thread, NULL, waits, &fd), 0);
		usleep(i * 5000);
		CHECK_ERR(pthread_cancel(thread), 0);
		CHECK_ERR(pthread_join(thread, &result), 0);
		CHECK(result == PTHREAD_CANCELED);
		CHECK_EQ(pwrite(fd, "y", 1, 0), 1);
	}
	let_go(&h);
	CHECK_OK(take(fd, RECORD));
	CHECK_OK(close(fd));
}

/* One byte each, then the other's: one of the two is told EDEADLK. */
static void byte_then_other(void *arg)
{
	int *pipes = arg, fd = MUST(open(t_at("f"), O_RDWR));
	struct flock lock = area(F_WRLCK, 1, 1);
	char c;

	CHECK_OK(fcntl(fd, F_SETLKW, &lock));
	MUST(write(pipes[1], "1", 1));
	CHECK_EQ(read(pipes[2], &c, 1), 1);
	lock = area(F_WRLCK, 0, 1);
	CHECK_OK(fcntl(fd, F_SETLKW, &lock));
	MUST(close(fd));
}

static void deadlock(void)
{
	int pipes[4];
	struct flock lock = area(F_WRLCK, 0, 1);
	char c;

	t_put(t_at("f"), "xx");
	MUST(pipe(pipes));
	MUST(pipe(pipes + 2));
	int fd = MUST(open(t_at("f"), O_RDWR));

	CHECK_OK(fcntl(fd, F_SETLK, &lock));
	pid_t pid = t_spawn(byte_then_other, pipes);

	CHECK_EQ(read(pipes[0], &c, 1), 1);
	MUST(write(pipes[3], "g", 1));
	usleep(100000); /* the child waits for byte 0 now */
	lock = area(F_WRLCK, 1, 1);
	CHECK_ERRNO(fcntl(fd, F_SETLKW, &lock), EDEADLK);
	lock = area(F_UNLCK, 0, 1);
	CHECK_OK(fcntl(fd, F_SETLK, &lock));
	CHECK_REAP(pid);
	CHECK_OK(close(fd));
	for (int i = 0; i < 4; i++)
		MUST(close(pipes[i]));
}

/* A ring of three. */
static void ring(void *arg)
{
	int *pipes = arg, fd = MUST(open(t_at("f"), O_RDWR));

	for (int i = 1; i <= 2; i++) {
		pid_t pid = MUST(fork());
		struct flock lock = area(F_WRLCK, i, 1);

		if (pid > 0)
			continue;
		MUST(fcntl(fd, F_SETLKW, &lock));
		MUST(write(pipes[1], "r", 1));
		usleep(50000 * i);
		lock = area(F_WRLCK, i == 2 ? 0 : i + 1, 1);
		_exit(fcntl(fd, F_SETLKW, &lock) != 0);
	}
	MUST(close(fd));
	for (int i = 1; i <= 2; i++) {
		int status = 1;

		wait(&status);
		CHECK_EQ(status, 0);
	}
}

static void deadlock_of_three(void)
{
	int pipes[2];
	struct flock lock = area(F_WRLCK, 0, 1);
	char c;

	t_put(t_at("f"), "xxx");
	MUST(pipe(pipes));
	int fd = MUST(open(t_at("f"), O_RDWR));

	CHECK_OK(fcntl(fd, F_SETLK, &lock));
	pid_t pid = t_spawn(ring, pipes);

	CHECK_EQ(read(pipes[0], &c, 1), 1);
	CHECK_EQ(read(pipes[0], &c, 1), 1);
	usleep(250000);
	lock = area(F_WRLCK, 1, 1);
	CHECK_ERRNO(fcntl(fd, F_SETLKW, &lock), EDEADLK);
	CHECK_OK(close(fd));
	CHECK_REAP(pid);
	MUST(close(pipes[0]));
	MUST(close(pipes[1]));
}

/* A waiter wakes when the lock is free, not at the next look. */
static void hands_over(void *arg)
{
	enum how how = *(enum how *)arg;
	int fd = MUST(open(t_at("f"), O_RDWR));
	char text[32];

	CHECK_OK(take(fd, how));
	snprintf(text, sizeof(text), "%.9f", now());
	CHECK_EQ(pwrite(fd, text, sizeof(text), 0), sizeof(text));
	CHECK_OK(give(fd, how));
	MUST(close(fd));
}

static void woken(void)
{
	for (enum how how = RECORD; how <= WHOLE; how++) {
		double best = 1;

		for (int i = 0; i < 5; i++) {
			char text[32] = "";

			t_put(t_at("f"), "");
			int fd = MUST(open(t_at("f"), O_RDWR));

			CHECK_OK(take(fd, how));
			pid_t pid = t_spawn(hands_over, &how);

			usleep(60000);
			double start = now();

			CHECK_OK(give(fd, how));
			CHECK_REAP(pid);
			CHECK_EQ(pread(fd, text, sizeof(text), 0),
				 sizeof(text));
			if (atof(text) - start < best)
				best = atof(text) - start;
			CHECK_OK(close(fd));
		}
		CHECK(best < 0.008);
	}
}

/* Killed while it holds, or while it waits: nobody is stuck. */
static void killed(void)
{
	t_put(t_at("f"), "x");
	int fd = MUST(open(t_at("f"), O_RDWR));

	for (enum how how = RECORD; how <= WHOLE; how++) {
		struct holder h = hold(t_at("f"), how);
		pid_t waiter = MUST(fork());

		if (waiter == 0) {
			fd = MUST(open(t_at("f"), O_RDWR));
			_exit(take(fd, how) != 0);
		}
		usleep(30000);
		MUST(kill(waiter, SIGKILL));
		MUST(waitpid(waiter, NULL, 0));
		MUST(kill(h.pid, SIGKILL));
		CHECK_OK(take(fd, how));
		MUST(waitpid(h.pid, NULL, 0));
		MUST(close(h.go[1]));
		CHECK_OK(give(fd, how));
	}
	CHECK_OK(close(fd));
}

static void both_upgrade(void *arg)
{
	int *pipes = arg, fd = MUST(open(t_at("f"), O_RDWR));
	char c;

	CHECK_OK(flock(fd, LOCK_SH));
	MUST(write(pipes[1], "s", 1));
	CHECK_EQ(read(pipes[2], &c, 1), 1);
	CHECK_OK(flock(fd, LOCK_EX));
	MUST(close(fd));
}

/* Converting gives up the shared lock first: two who do so do not wait for each other. */
static void conversion(void)
{
	int pipes[4];
	char c;

	t_put(t_at("f"), "x");
	MUST(pipe(pipes));
	MUST(pipe(pipes + 2));
	int fd = MUST(open(t_at("f"), O_RDWR)),
	    other = MUST(open(t_at("f"), O_RDWR)),
	    third = MUST(open(t_at("f"), O_RDWR));

	CHECK_OK(flock(fd, LOCK_SH));
	pid_t pid = t_spawn(both_upgrade, pipes);

	CHECK_EQ(read(pipes[0], &c, 1), 1);
	MUST(write(pipes[3], "g", 1));
	usleep(30000);
	CHECK_OK(flock(fd, LOCK_EX));
	CHECK_OK(flock(fd, LOCK_UN));
	CHECK_REAP(pid);
	/* Also where it fails: the old lock is lost. */
	CHECK_OK(flock(fd, LOCK_SH));
	CHECK_OK(flock(other, LOCK_SH));
	CHECK_ERRNO(flock(fd, LOCK_EX | LOCK_NB), EWOULDBLOCK);
	CHECK_OK(flock(other, LOCK_EX | LOCK_NB));
	CHECK_ERRNO(flock(third, LOCK_SH | LOCK_NB), EWOULDBLOCK);
	CHECK_OK(close(third));
	CHECK_OK(close(other));
	CHECK_OK(close(fd));
	for (int i = 0; i < 4; i++)
		MUST(close(pipes[i]));
}

struct closing {
	int fd;
	int result, error;
};

static void *waits_on(void *arg)
{
	struct closing *c = arg;
	struct flock lock = area(F_WRLCK, 0, 0);

	c->result = fcntl(c->fd, F_SETLKW, &lock);
	c->error = errno;
	return NULL;
}

/* Another descriptor of the file is closed while a thread waits: it goes on waiting, and gets it. */
static void closed_meanwhile(void)
{
	pthread_t thread;
	struct closing c = {.fd = -1};

	t_put(t_at("f"), "x");
	c.fd = MUST(open(t_at("f"), O_RDWR));
	int other = MUST(open(t_at("f"), O_RDWR));
	struct holder h = hold(t_at("f"), RECORD);

	CHECK_ERR(pthread_create(&thread, NULL, waits_on, &c), 0);
	usleep(50000);
	CHECK_OK(close(other));
	usleep(20000);
	let_go(&h);
	CHECK_ERR(pthread_join(thread, NULL), 0);
	CHECK_EQ(c.result, 0);
	h = (struct holder){.pid = MUST(fork())};
	if (h.pid == 0) {
		struct flock lock = area(F_WRLCK, 0, 0);
		int fd = MUST(open(t_at("f"), O_RDWR));

		_exit(fcntl(fd, F_SETLK, &lock) != -1);
	}
	CHECK_REAP(h.pid);
	CHECK_OK(close(c.fd));
}

static void lockf_waits(void)
{
	t_put(t_at("f"), "x");
	int fd = MUST(open(t_at("f"), O_RDWR));
	struct holder h = hold(t_at("f"), RECORD);

	release_fd = h.go[1];
	every_20_ms(count_and_release, SA_RESTART);
	CHECK_OK(lockf(fd, F_LOCK, 0));
	no_alarm();
	CHECK_REAP(h.pid);
	CHECK_OK(close(fd));
}

T_MAIN(CASE(interrupted), CASE(restarted), CASE(left_by_a_jump),
       CASE(handlers_use_files), CASE(cancelled), CASE(deadlock),
       CASE(deadlock_of_three), CASE(woken), CASE(killed), CASE(conversion),
       CASE(closed_meanwhile), CASE(lockf_waits))
