/* fallocate, posix_fallocate, posix_fadvise, readahead. */
#include "t.h"

static void grows(void)
{
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	CHECK_EQ(write(fd, "abc", 3), 3);
	CHECK_OK(fallocate(fd, 0, 0, 100));
	CHECK_EQ(t_size(t_at("f")), 100);
	CHECK_OK(fallocate(fd, 0, 10, 20));
	CHECK_EQ(t_size(t_at("f")), 100);
	CHECK_OK(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 1000));
	CHECK_EQ(t_size(t_at("f")), 100);
	CHECK_ERR(posix_fallocate(fd, 50, 150), 0);
	CHECK_EQ(t_size(t_at("f")), 200);
	CHECK_ERR(posix_fallocate(fd, 0, 10), 0);
	char got[4];

	CHECK_EQ(pread(fd, got, 4, 0), 4);
	CHECK_MEM(got, "abc\0", 4);
	CHECK_OK(close(fd));
}

static void punches(void)
{
	char got[10];
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	CHECK_EQ(write(fd, "0123456789", 10), 10);
	CHECK_OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 2,
			   5));
	CHECK_EQ(pread(fd, got, 10, 0), 10);
	CHECK_MEM(got,
		  "01\0\0\0\0\0"
		  "789",
		  10);
	CHECK_OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 8,
			   100));
	CHECK_EQ(t_size(t_at("f")), 10);
	CHECK_EQ(pread(fd, got, 10, 0), 10);
	CHECK_MEM(got,
		  "01\0\0\0\0\0"
		  "7\0\0",
		  10);
	CHECK_OK(close(fd));
}

static void errors(void)
{
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));
	int pair[2];

	CHECK_ERRNO(fallocate(fd, 0, 0, 0), EINVAL);
	CHECK_ERRNO(fallocate(fd, 0, -1, 1), EINVAL);
	CHECK_ERRNO2(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 1), EOPNOTSUPP,
		     EINVAL);
	CHECK_ERRNO2(fallocate(fd, 0x4000, 0, 1), EOPNOTSUPP, EINVAL);
	CHECK_ERR(posix_fallocate(fd, 0, 0), EINVAL);
	CHECK_ERR(posix_fallocate(-1, 0, 1), EBADF);
	CHECK_ERRNO(fallocate(-1, 0, 0, 1), EBADF);
	CHECK_OK(close(fd));
	fd = MUST(open(t_at("f"), O_RDONLY));
	CHECK_ERRNO(fallocate(fd, 0, 0, 1), EBADF);
	CHECK_ERR(posix_fallocate(fd, 0, 1), EBADF);
	CHECK_OK(close(fd));
	MUST(pipe(pair));
	CHECK_ERRNO(fallocate(pair[1], 0, 0, 1), ESPIPE);
	CHECK_ERR(posix_fadvise(pair[1], 0, 0, POSIX_FADV_NORMAL), ESPIPE);
	CHECK_OK(close(pair[0]));
	CHECK_OK(close(pair[1]));
}

static void advice(void)
{
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	CHECK_ERR(posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL), 0);
	CHECK_ERR(posix_fadvise(fd, 0, 100, POSIX_FADV_WILLNEED), 0);
	CHECK_ERR(posix_fadvise(fd, 0, 100, POSIX_FADV_DONTNEED), 0);
	CHECK_ERR(posix_fadvise(fd, 0, 100, 99), EINVAL);
	CHECK_ERR(posix_fadvise(-1, 0, 0, POSIX_FADV_NORMAL), EBADF);
	CHECK_OK(readahead(fd, 0, 100));
	CHECK_OK(close(fd));
}

/* Every mode: done, or the errno that programs fall back from. */
static void modes(void)
{
	char got[10];
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	CHECK_EQ(write(fd, "0123456789", 10), 10);
	CHECK_OK(fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 2,
			   3));
	CHECK_OK(fallocate(fd, FALLOC_FL_ZERO_RANGE, 8, 4));
	CHECK_EQ(t_size(t_at("f")), 12);
	CHECK_OK(fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 20,
			   4));
	CHECK_EQ(t_size(t_at("f")), 12);
	CHECK_FILE_MEM(t_at("f"),
		       "01\0\0\0"
		       "567\0\0\0\0",
		       12);
	/* Not a whole block, or not at all. */
	CHECK_ERRNO2(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 1, 3), EINVAL,
		     EOPNOTSUPP);
	CHECK_ERRNO2(fallocate(fd, FALLOC_FL_INSERT_RANGE, 1, 3), EINVAL,
		     EOPNOTSUPP);
	CHECK_ERRNO(fallocate(fd, FALLOC_FL_UNSHARE_RANGE, 0, 3), EOPNOTSUPP);
	CHECK_ERRNO2(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE,
			       0, 3),
		     EOPNOTSUPP, EOPNOTSUPP);
	CHECK_EQ(t_size(t_at("f")), 12);
	CHECK_ERRNO(fallocate(fd, 0, LONG_MAX, 10), EFBIG);
	CHECK_OK(close(fd));
	fd = MUST(open(t_dir, O_RDONLY));
	CHECK_ERRNO(fallocate(fd, 0, 0, 10), EBADF);
	CHECK_ERR(posix_fallocate(fd, 0, 10), EBADF);
	CHECK_OK(close(fd));
	fd = MUST(open(t_at("f"), O_WRONLY | O_APPEND));
	CHECK_OK(fallocate(fd, 0, 0, 20));
	CHECK_OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 5,
			   1));
	CHECK_OK(close(fd));
	fd = MUST(open(t_at("f"), O_RDONLY));
	CHECK_EQ(pread(fd, got, 4, 4), 4);
	CHECK_MEM(got, "\0\00067", 4);
	CHECK_OK(close(fd));
}

T_MAIN(CASE(modes), CASE(grows), CASE(punches), CASE(errors), CASE(advice))
