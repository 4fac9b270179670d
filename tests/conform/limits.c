/* RLIMIT_FSIZE: where writes stop, and that a new limit holds at once. */
#include <signal.h>
#include <sys/resource.h>
#include "t.h"

static volatile sig_atomic_t signals;

static void count(int sig)
{
	(void)sig;
	signals++;
}

static void limit(rlim_t bytes)
{
	struct rlimit r;

	MUST(getrlimit(RLIMIT_FSIZE, &r));
	r.rlim_cur = bytes;
	MUST(setrlimit(RLIMIT_FSIZE, &r));
}

static void in_child(void *arg)
{
	int fd = *(int *)arg;
	char buf[64] = {0};
	struct rlimit r = {100, RLIM_INFINITY};

	signal(SIGXFSZ, count);
	CHECK_EQ(pwrite(fd, buf, 64, 0), 64);
	/* The descriptor is older than the limit. */
	limit(96);
	CHECK_EQ(pwrite(fd, buf, 64, 64), 32);
	CHECK_EQ(signals, 0);
	CHECK_ERRNO(pwrite(fd, buf, 1, 96), EFBIG);
	CHECK_EQ(signals, 1);
	CHECK_ERRNO(ftruncate(fd, 97), EFBIG);
	CHECK_EQ(signals, 2);
	CHECK_OK(ftruncate(fd, 96));
	CHECK_ERRNO(fallocate(fd, 0, 0, 97), EFBIG);
	CHECK_ERRNO(truncate(t_at("f"), 97), EFBIG);
	CHECK_EQ(lseek(fd, 96, SEEK_SET), 96);
	signals = 0;
	CHECK_ERRNO(write(fd, buf, 1), EFBIG);
	CHECK_EQ(signals, 1);
	/* Less is no matter. */
	CHECK_EQ(pwrite(fd, buf, 64, 0), 64);
	CHECK_OK(ftruncate(fd, 10));
	/* And up again, by the other call. */
	r.rlim_max = RLIM_INFINITY;
	struct rlimit old;

	MUST(prlimit(0, RLIMIT_FSIZE, NULL, &old));
	CHECK_EQ(old.rlim_cur, 96);
	r.rlim_max = old.rlim_max;
	r.rlim_cur = 128;
	MUST(prlimit(0, RLIMIT_FSIZE, &r, NULL));
	CHECK_EQ(pwrite(fd, buf, 64, 64), 64);
	signals = 0;
	CHECK_ERRNO(pwrite(fd, buf, 1, 128), EFBIG);
	CHECK_EQ(signals, 1);
	limit(old.rlim_max);
	CHECK_EQ(pwrite(fd, buf, 64, 1000), 64);
}

static void seen_at_once(void)
{
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	CHECK_CHILD(in_child, &fd);
	CHECK_EQ(t_size(t_at("f")), 1064);
	CHECK_OK(close(fd));
}

static void by_append(void *arg)
{
	int fd = MUST(open(t_at("f"), O_WRONLY | O_APPEND));

	(void)arg;
	signal(SIGXFSZ, SIG_IGN);
	limit(10);
	CHECK_EQ(write(fd, "0123456789", 10), 6);
	CHECK_ERRNO(write(fd, "x", 1), EFBIG);
}

static void appending(void)
{
	t_put(t_at("f"), "abcd");
	CHECK_CHILD(by_append, NULL);
	CHECK_FILE(t_at("f"), "abcd012345");
}

T_MAIN(CASE(seen_at_once), CASE(appending))
