/* ioctl(2) on files: no terminal, close-on-exec forms, bytes to read. */
#include <linux/fiemap.h>
#include <linux/fs.h>
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

static void sizes(void)
{
	struct stat st;
	long long size = -1;
	int block = 0;

	t_put(t_at("f"), "0123456789");
	int fd = MUST(open(t_at("f"), O_RDONLY));
	int dir = MUST(open(t_dir, O_RDONLY));

	MUST(fstat(fd, &st));
	CHECK_OK(ioctl(fd, FIGETBSZ, &block));
	CHECK_EQ(block, st.st_blksize);
	CHECK_OK(ioctl(fd, FIOQSIZE, &size));
	CHECK(size >= 0); /* bytes it takes up, not its length */
	CHECK_ERRNO(ioctl(dir, FIONREAD, &block), ENOTTY);
	CHECK_ERRNO(ioctl(fd, FIONREAD, t_bad_pointer(1)), EFAULT);
	CHECK_ERRNO(ioctl(fd, FIGETBSZ, t_bad_pointer(1)), EFAULT);
	CHECK_OK(close(fd));
	CHECK_OK(close(dir));
}

/* What lsattr, filefrag and cp --reflink ask: served, or the errno they know. */
static void features(void)
{
	struct fsxattr x = {0};
	struct fiemap map = {.fm_length = ~0ULL};
	int flags = 0;

	t_put(t_at("f"), "0123456789");
	int fd = MUST(open(t_at("f"), O_RDONLY));
	int to = MUST(open(t_at("to"), O_RDWR | O_CREAT, 0644));
	int got = ioctl(fd, FS_IOC_GETFLAGS, &flags);

	CHECK(got == 0 || errno == ENOTTY || errno == EOPNOTSUPP);
	got = ioctl(fd, FS_IOC_SETFLAGS, &flags);
	CHECK(got == 0 || errno == ENOTTY || errno == EOPNOTSUPP);
	got = ioctl(fd, FS_IOC_FSGETXATTR, &x);
	CHECK(got == 0 || errno == ENOTTY || errno == EOPNOTSUPP);
	got = ioctl(fd, FS_IOC_FIEMAP, &map);
	CHECK(got == 0 || errno == EOPNOTSUPP);
	got = ioctl(to, FICLONE, fd);
	CHECK(got == 0 || errno == EOPNOTSUPP);
	if (got != 0)
		CHECK_EQ(t_size(t_at("to")), 0);
	CHECK_ERRNO2(ioctl(fd, 0x12345678, 0), ENOTTY, ENOTTY);
	CHECK_OK(close(fd));
	CHECK_OK(close(to));
}

T_MAIN(CASE(no_terminal), CASE(close_on_exec), CASE(bytes_left), CASE(sizes),
       CASE(features))
