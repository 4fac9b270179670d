/* lseek(2): every whence, data and holes, refusals. */
#include "t.h"

static void whence(void)
{
	t_put(t_at("f"), "0123456789");
	int fd = MUST(open(t_at("f"), O_RDWR));

	CHECK_EQ(lseek(fd, 4, SEEK_SET), 4);
	CHECK_EQ(lseek(fd, 3, SEEK_CUR), 7);
	CHECK_EQ(lseek(fd, -2, SEEK_CUR), 5);
	CHECK_EQ(lseek(fd, 0, SEEK_END), 10);
	CHECK_EQ(lseek(fd, -1, SEEK_END), 9);
	CHECK_EQ(lseek(fd, 5, SEEK_END), 15);
	CHECK_EQ(t_size(t_at("f")), 10);
	CHECK_EQ(lseek(fd, 1L << 40, SEEK_SET), 1L << 40);
	CHECK_OK(close(fd));
}

static void refusals(void)
{
	int pair[2];

	t_put(t_at("f"), "0123456789");
	int fd = MUST(open(t_at("f"), O_RDWR));

	CHECK_EQ(lseek(fd, 3, SEEK_SET), 3);
	CHECK_ERRNO(lseek(fd, -1, SEEK_SET), EINVAL);
	CHECK_ERRNO(lseek(fd, -4, SEEK_CUR), EINVAL);
	CHECK_ERRNO(lseek(fd, -11, SEEK_END), EINVAL);
	CHECK_ERRNO(lseek(fd, 0, 77), EINVAL);
	CHECK_ERRNO2(lseek(fd, LONG_MAX, SEEK_CUR), EOVERFLOW, EINVAL);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 3);
	CHECK_OK(close(fd));
	MUST(pipe(pair));
	CHECK_ERRNO(lseek(pair[0], 0, SEEK_SET), ESPIPE);
	CHECK_OK(close(pair[0]));
	CHECK_OK(close(pair[1]));
}

static void data_and_holes(void)
{
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	CHECK_ERRNO(lseek(fd, 0, SEEK_DATA), ENXIO);
	CHECK_ERRNO(lseek(fd, 0, SEEK_HOLE), ENXIO);
	CHECK_EQ(write(fd, "0123456789", 10), 10);
	CHECK_EQ(lseek(fd, 0, SEEK_DATA), 0);
	CHECK_EQ(lseek(fd, 5, SEEK_DATA), 5);
	CHECK_EQ(lseek(fd, 0, SEEK_HOLE), 10);
	CHECK_EQ(lseek(fd, 9, SEEK_HOLE), 10);
	CHECK_ERRNO(lseek(fd, 10, SEEK_DATA), ENXIO);
	CHECK_ERRNO(lseek(fd, 10, SEEK_HOLE), ENXIO);
	CHECK_ERRNO(lseek(fd, -1, SEEK_DATA), ENXIO);
	CHECK_OK(close(fd));
}

static void directory_rewinds(void)
{
	int fd = MUST(open(t_dir, O_RDONLY | O_DIRECTORY));

	CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
	CHECK_ERRNO(lseek(fd, -1, SEEK_SET), EINVAL);
	CHECK_OK(close(fd));
}

T_MAIN(CASE(whence), CASE(refusals), CASE(data_and_holes),
       CASE(directory_rewinds))
