/* close_range(2), closefrom(3): many numbers at once, ours among them. */
#include <sys/syscall.h>
#include "t.h"

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC 4
#endif
#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE 2
#endif

static int range(unsigned int first, unsigned int last, unsigned int flags)
{
	return syscall(SYS_close_range, first, last, flags);
}

static void closes_what_is_in(void *arg)
{
	int fds[6];

	(void)arg;
	for (int i = 0; i < 6; i++) {
		int fd = MUST(i % 2 ? open(t_at("f"), O_RDWR | O_CREAT, 0644)
				    : open("/dev/null", O_RDWR));

		fds[i] = MUST(fcntl(fd, F_DUPFD, 100));
		MUST(close(fd));
	}
	CHECK_OK(range(fds[1], fds[3], 0));
	for (int i = 0; i < 6; i++) {
		if (i >= 1 && i <= 3)
			CHECK_ERRNO(fcntl(fds[i], F_GETFD), EBADF);
		else
			CHECK_OK(fcntl(fds[i], F_GETFD));
	}
	CHECK_OK(range(fds[0], fds[5], CLOSE_RANGE_CLOEXEC));
	CHECK_EQ(fcntl(fds[5], F_GETFD), FD_CLOEXEC);
	CHECK_EQ(write(fds[5], "still", 5), 5);
	CHECK_OK(range(100, ~0U, CLOSE_RANGE_UNSHARE));
	CHECK_ERRNO(write(fds[5], "x", 1), EBADF);
	CHECK_FILE(t_at("f"), "still");
	CHECK_ERRNO(range(10, 5, 0), EINVAL);
	CHECK_ERRNO(range(10, 15, 0x80), EINVAL);
}

static void ranges(void)
{
	CHECK_CHILD(closes_what_is_in, NULL);
}

static void closes_from(void *arg)
{
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));
	int high = MUST(fcntl(fd, F_DUPFD, 500));

	(void)arg;
	closefrom(3);
	CHECK_ERRNO(fcntl(fd, F_GETFD), EBADF);
	CHECK_ERRNO(fcntl(high, F_GETFD), EBADF);
	/* Life goes on: everything below can be opened again. */
	CHECK_EQ(open(t_at("g"), O_RDWR | O_CREAT, 0644), 3);
	CHECK_EQ(write(3, "after", 5), 5);
	CHECK_FILE(t_at("g"), "after");
	MUST(mkdir(t_at("d"), 0755));
	CHECK(t_exists(t_at("d")));
}

static void from(void)
{
	CHECK_CHILD(closes_from, NULL);
}

static void closes_by_hand(void *arg)
{
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	(void)arg;
	/* As daemons do. */
	for (int i = 3; i < 1024; i++)
		close(i);
	CHECK_ERRNO(write(fd, "x", 1), EBADF);
	t_put(t_at("g"), "after");
	CHECK_FILE(t_at("g"), "after");
}

static void one_by_one(void)
{
	CHECK_CHILD(closes_by_hand, NULL);
}

T_MAIN(CASE(ranges), CASE(from), CASE(one_by_one))
