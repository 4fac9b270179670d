/* statfs, fstatfs, statvfs, fstatvfs, pathconf: figures that hang together. */
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include "t.h"

static void by_path_and_descriptor(void)
{
	struct statfs path, by_fd;

	memset(&path, 0xff, sizeof(path));
	CHECK_OK(statfs(t_dir, &path));
	CHECK(path.f_bsize > 0);
	CHECK(path.f_blocks > 0);
	CHECK(path.f_bfree <= path.f_blocks);
	CHECK(path.f_bavail <= path.f_bfree);
	CHECK_EQ(path.f_namelen, 255);
	CHECK(path.f_type != 0);
	t_put(t_at("f"), "x");
	int fd = MUST(open(t_at("f"), O_RDONLY));

	CHECK_OK(fstatfs(fd, &by_fd));
	CHECK_EQ(by_fd.f_type, path.f_type);
	CHECK_EQ(by_fd.f_blocks, path.f_blocks);
	CHECK_EQ(by_fd.f_bsize, path.f_bsize);
	CHECK_OK(close(fd));
	CHECK_OK(statfs(t_at("f"), &by_fd));
	CHECK_EQ(by_fd.f_type, path.f_type);
	if (t_mount())
		CHECK_EQ(path.f_type, 0xDA05AD10);
}

static void posix_forms(void)
{
	struct statvfs path, by_fd;

	CHECK_OK(statvfs(t_dir, &path));
	CHECK(path.f_frsize > 0);
	CHECK(path.f_blocks > 0);
	CHECK_EQ(path.f_namemax, 255);
	CHECK_EQ(path.f_flag & ST_RDONLY, 0);
	int fd = MUST(open(t_dir, O_RDONLY));

	CHECK_OK(fstatvfs(fd, &by_fd));
	CHECK_EQ(by_fd.f_blocks, path.f_blocks);
	CHECK_EQ(by_fd.f_frsize, path.f_frsize);
	CHECK_OK(close(fd));
}

static void errors(void)
{
	struct statfs st;

	t_put(t_at("f"), "x");
	CHECK_ERRNO(statfs(t_at("none"), &st), ENOENT);
	CHECK_ERRNO(statfs(t_at("f/x"), &st), ENOTDIR);
	CHECK_ERRNO(fstatfs(-1, &st), EBADF);
	CHECK_ERRNO(statfs(t_dir, t_bad_pointer(1)), EFAULT);
	CHECK_ERRNO(statfs(t_bad_pointer(1), &st), EFAULT);
}

static void limits(void)
{
	CHECK_EQ(pathconf(t_dir, _PC_NAME_MAX), 255);
	CHECK_EQ(pathconf(t_dir, _PC_PATH_MAX), PATH_MAX);
	int fd = MUST(open(t_dir, O_RDONLY));

	CHECK_EQ(fpathconf(fd, _PC_NAME_MAX), 255);
	CHECK_OK(close(fd));
}

T_MAIN(CASE(by_path_and_descriptor), CASE(posix_forms), CASE(errors),
       CASE(limits))
