/* fcntl(2): duplicates with a minimum, descriptor and status flags, the rest. */
#include <signal.h>
#include "t.h"

static void duplicates(void)
{
	int f = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));
	int a = MUST(fcntl(f, F_DUPFD, 80));

	CHECK_EQ(a, 80);
	CHECK_EQ(fcntl(f, F_DUPFD, 80), 81);
	CHECK_EQ(fcntl(a, F_GETFD), 0);
	CHECK_EQ(fcntl(f, F_DUPFD_CLOEXEC, 10) >= 10, 1);
	int c = MUST(fcntl(f, F_DUPFD_CLOEXEC, 200));

	CHECK_EQ(c, 200);
	CHECK_EQ(fcntl(c, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(write(f, "ab", 2), 2);
	CHECK_EQ(lseek(c, 0, SEEK_CUR), 2);
	CHECK_ERRNO(fcntl(f, F_DUPFD, -1), EINVAL);
	CHECK_ERRNO(fcntl(-1, F_DUPFD, 0), EBADF);
	CHECK_OK(close(a));
	CHECK_OK(close(81));
	CHECK_OK(close(c));
	CHECK_OK(close(f));
}

static void descriptor_flags(void)
{
	int f = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	CHECK_EQ(fcntl(f, F_GETFD), 0);
	CHECK_OK(fcntl(f, F_SETFD, FD_CLOEXEC));
	CHECK_EQ(fcntl(f, F_GETFD), FD_CLOEXEC);
	CHECK_OK(fcntl(f, F_SETFD, 0));
	CHECK_EQ(fcntl(f, F_GETFD), 0);
	CHECK_OK(close(f));
	CHECK_ERRNO(fcntl(f, F_GETFD), EBADF);
	CHECK_ERRNO(fcntl(f, F_GETFL), EBADF);
}

static void status_flags(void)
{
	t_put(t_at("f"), "base");
	int f = MUST(open(t_at("f"), O_RDWR));

	CHECK_EQ(fcntl(f, F_GETFL) & ~O_LARGEFILE & 0x7fff, O_RDWR);
	CHECK_OK(fcntl(f, F_SETFL, O_APPEND | O_NONBLOCK));
	CHECK_EQ(fcntl(f, F_GETFL) & (O_APPEND | O_NONBLOCK),
		 O_APPEND | O_NONBLOCK);
	CHECK_EQ(fcntl(f, F_GETFL) & O_ACCMODE, O_RDWR);
	CHECK_EQ(write(f, "+", 1), 1);
	CHECK_FILE(t_at("f"), "base+");
	CHECK_OK(fcntl(f, F_SETFL, 0));
	CHECK_EQ(lseek(f, 0, SEEK_SET), 0);
	CHECK_EQ(write(f, "B", 1), 1);
	CHECK_FILE(t_at("f"), "Base+");
	/* The access mode and creation flags cannot change. */
	CHECK_OK(fcntl(f, F_SETFL, O_WRONLY | O_TRUNC | O_CREAT));
	CHECK_EQ(fcntl(f, F_GETFL) & O_ACCMODE, O_RDWR);
	CHECK_FILE(t_at("f"), "Base+");
	CHECK_OK(close(f));
}

static void unknown(void)
{
	int f = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	CHECK_ERRNO(fcntl(f, 9999, 0), EINVAL);
	CHECK_ERRNO(fcntl(f, F_GETPIPE_SZ), EBADF);
	CHECK_OK(close(f));
}

static void owner_and_signal(void)
{
	int f = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	CHECK_EQ(fcntl(f, F_GETOWN), 0);
	CHECK_EQ(fcntl(f, F_GETSIG), 0);
	CHECK_OK(close(f));
}

T_MAIN(CASE(duplicates), CASE(descriptor_flags), CASE(status_flags),
       CASE(unknown), CASE(owner_and_signal))
