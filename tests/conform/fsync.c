/* fsync, fdatasync, sync_file_range, syncfs, sync. */
#include "t.h"

static void all(void)
{
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));
	int dir = MUST(open(t_dir, O_RDONLY | O_DIRECTORY));

	CHECK_EQ(write(fd, "x", 1), 1);
	CHECK_OK(fsync(fd));
	CHECK_OK(fdatasync(fd));
	CHECK_OK(sync_file_range(fd, 0, 1, SYNC_FILE_RANGE_WRITE));
	CHECK_OK(syncfs(fd));
	CHECK_OK(fsync(dir));
	CHECK_OK(fdatasync(dir));
	CHECK_OK(close(fd));
	CHECK_OK(close(dir));
	fd = MUST(open(t_at("f"), O_RDONLY));
	CHECK_OK(fsync(fd));
	CHECK_OK(close(fd));
	CHECK_ERRNO(fsync(fd), EBADF);
	CHECK_ERRNO(fdatasync(-1), EBADF);
	CHECK_ERRNO(syncfs(-1), EBADF);
}

T_MAIN(CASE(all))
