/* pread(2), pwrite(2): positioned, the offset stays. */
#include "t.h"

static void offset_stays(void)
{
	char got[8];
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	CHECK_EQ(write(fd, "0123456789", 10), 10);
	CHECK_EQ(pwrite(fd, "ab", 2, 4), 2);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 10);
	CHECK_EQ(pread(fd, got, 4, 3), 4);
	CHECK_MEM(got, "3ab6", 4);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 10);
	CHECK_EQ(pread(fd, got, 8, 8), 2);
	CHECK_EQ(pread(fd, got, 8, 10), 0);
	CHECK_EQ(pread(fd, got, 8, 1L << 40), 0);
	CHECK_OK(close(fd));
}

static void beyond_the_end(void)
{
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	CHECK_EQ(pwrite(fd, "x", 1, 5), 1);
	CHECK_FILE_MEM(t_at("f"), "\0\0\0\0\0x", 6);
	CHECK_EQ(pwrite(fd, "y", 1, 3L << 20), 1);
	CHECK_EQ(t_size(t_at("f")), (3L << 20) + 1);
	CHECK_OK(close(fd));
}

static void errors(void)
{
	char c = 0;
	int pair[2];
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	CHECK_ERRNO(pread(fd, &c, 1, -1), EINVAL);
	CHECK_ERRNO(pwrite(fd, &c, 1, -1), EINVAL);
	CHECK_ERRNO(pread(-1, &c, 0, 0), EBADF);
	CHECK_OK(close(fd));
	MUST(pipe(pair));
	CHECK_ERRNO(pread(pair[0], &c, 1, 0), ESPIPE);
	CHECK_ERRNO(pwrite(pair[1], &c, 1, 0), ESPIPE);
	CHECK_OK(close(pair[0]));
	CHECK_OK(close(pair[1]));
	fd = MUST(open(t_dir, O_RDONLY));
	CHECK_ERRNO(pread(fd, &c, 1, 0), EISDIR);
	CHECK_OK(close(fd));
}

static void append_ignores_the_position(void)
{
	/* Linux: pwrite on O_APPEND appends, whatever the offset. */
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT | O_APPEND, 0644));

	CHECK_EQ(write(fd, "one", 3), 3);
	CHECK_EQ(pwrite(fd, "two", 3, 0), 3);
	CHECK_FILE(t_at("f"), "onetwo");
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 3);
	CHECK_OK(close(fd));
}

T_MAIN(CASE(offset_stays), CASE(beyond_the_end), CASE(errors),
       CASE(append_ignores_the_position))
