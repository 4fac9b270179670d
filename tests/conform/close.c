/* close(2): once; every other number is EBADF, however absurd. */
#include <limits.h>
#include "t.h"

static const int absurd[] = {-1,	 -100,	     INT_MIN,	 INT_MAX,
			     0x20000000, 0x20000001, 0x7ffffff,	 900000,
			     0x3fffffff, 0x40000000, -0x20000000};

static void twice(void)
{
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	CHECK_OK(close(fd));
	CHECK_ERRNO(close(fd), EBADF);
}

static void absurd_numbers(void)
{
	struct stat st;
	char c;

	for (size_t i = 0; i < sizeof(absurd) / sizeof(absurd[0]); i++) {
		int fd = absurd[i];

		CHECK_ERRNO(close(fd), EBADF);
		CHECK_ERRNO(read(fd, &c, 1), EBADF);
		CHECK_ERRNO(write(fd, &c, 1), EBADF);
		CHECK_ERRNO(pread(fd, &c, 1, 0), EBADF);
		CHECK_ERRNO(pread(fd, &c, 0, 0), EBADF);
		CHECK_ERRNO(lseek(fd, 0, SEEK_SET), EBADF);
		CHECK_ERRNO(fstat(fd, &st), EBADF);
		CHECK_ERRNO(dup(fd), EBADF);
		CHECK_ERRNO(fcntl(fd, F_GETFD), EBADF);
		CHECK_ERRNO(dup2(fd, fd), EBADF);
		CHECK_ERRNO(fchdir(fd), EBADF);
		CHECK_ERRNO(ftruncate(fd, 0), EBADF);
		CHECK_ERRNO(fsync(fd), EBADF);
	}
}

static void stale_number(void)
{
	struct stat st;
	char c;
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	MUST(close(fd));
	CHECK_ERRNO(read(fd, &c, 1), EBADF);
	CHECK_ERRNO(write(fd, &c, 1), EBADF);
	CHECK_ERRNO(fstat(fd, &st), EBADF);
	CHECK_ERRNO(lseek(fd, 0, SEEK_CUR), EBADF);
	CHECK_ERRNO(fsync(fd), EBADF);
	/* The number may become something else altogether. */
	int pair[2];

	MUST(pipe(pair));
	CHECK_EQ(pair[0], fd);
	CHECK_EQ(write(pair[1], "p", 1), 1);
	CHECK_EQ(read(fd, &c, 1), 1);
	CHECK_EQ(c, 'p');
	CHECK_OK(close(pair[0]));
	CHECK_OK(close(pair[1]));
	CHECK_EQ(t_size(t_at("f")), 0);
}

static void data_is_there_after_close(void)
{
	int fd = MUST(open(t_at("f"), O_WRONLY | O_CREAT, 0644));

	CHECK_EQ(write(fd, "kept", 4), 4);
	CHECK_OK(close(fd));
	CHECK_FILE(t_at("f"), "kept");
}

static void dup2_onto_absurd(void)
{
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	CHECK_ERRNO(dup2(fd, -1), EBADF);
	CHECK_ERRNO(dup2(fd, INT_MAX), EBADF);
	CHECK_ERRNO(dup2(fd, 0x20000001), EBADF);
	CHECK_ERRNO(dup2(1, 0x20000001), EBADF);
	CHECK_ERRNO(fcntl(fd, F_DUPFD, INT_MAX), EINVAL);
	CHECK_ERRNO(fcntl(fd, F_DUPFD, -1), EINVAL);
	CHECK_OK(close(fd));
}

T_MAIN(CASE(twice), CASE(absurd_numbers), CASE(stale_number),
       CASE(data_is_there_after_close), CASE(dup2_onto_absurd))
