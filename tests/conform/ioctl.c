/* ioctl(2) on files: no terminal, close-on-exec forms, bytes to read. */
#include <sys/ioctl.h>
#include <termios.h>
#include "t.h"

static void no_terminal(void)
{
	struct termios term;
	struct winsize size;
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	CHECK_ERRNO(ioctl(fd, TCGETS, &term), ENOTTY);
	CHECK_ERRNO(ioctl(fd, TIOCGWINSZ, &size), ENOTTY);
	CHECK_ERRNO(tcgetattr(fd, &term), ENOTTY);
	CHECK_EQ(isatty(fd), 0);
	CHECK_EQ(errno, ENOTTY);
	CHECK(ttyname(fd) == NULL);
	CHECK_OK(close(fd));
	CHECK_ERRNO(ioctl(fd, TCGETS, &term), EBADF);
	fd = MUST(open(t_dir, O_RDONLY));
	CHECK_ERRNO(ioctl(fd, TCGETS, &term), ENOTTY);
	CHECK_OK(close(fd));
}

static void close_on_exec(void)
{
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	CHECK_OK(ioctl(fd, FIOCLEX));
	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	CHECK_OK(ioctl(fd, FIONCLEX));
	CHECK_EQ(fcntl(fd, F_GETFD), 0);
	CHECK_OK(close(fd));
}

static void bytes_left(void)
{
	int left = -1, on = 1;

	t_put(t_at("f"), "0123456789");
	int fd = MUST(open(t_at("f"), O_RDONLY));

	CHECK_OK(ioctl(fd, FIONREAD, &left));
	CHECK_EQ(left, 10);
	CHECK_EQ(lseek(fd, 7, SEEK_SET), 7);
	CHECK_OK(ioctl(fd, FIONREAD, &left));
	CHECK_EQ(left, 3);
	CHECK_OK(ioctl(fd, FIONBIO, &on));
	CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
	on = 0;
	CHECK_OK(ioctl(fd, FIONBIO, &on));
	CHECK(!(fcntl(fd, F_GETFL) & O_NONBLOCK));
	CHECK_OK(close(fd));
}

T_MAIN(CASE(no_terminal), CASE(close_on_exec), CASE(bytes_left))
