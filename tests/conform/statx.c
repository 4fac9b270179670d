/* statx(2): mask, times, identity, flags. */
#include "t.h"

static void agrees_with_stat(void)
{
	struct statx x;
	struct stat st;

	t_put(t_at("f"), "12345");
	memset(&x, 0xaa, sizeof(x));
	CHECK_OK(statx(AT_FDCWD, t_at("f"), 0, STATX_BASIC_STATS, &x));
	CHECK_OK(stat(t_at("f"), &st));
	CHECK_EQ(x.stx_mask & STATX_BASIC_STATS, STATX_BASIC_STATS);
	CHECK_EQ(x.stx_size, 5);
	CHECK_EQ(x.stx_mode, st.st_mode);
	CHECK_EQ(x.stx_ino, st.st_ino);
	CHECK_EQ(x.stx_nlink, st.st_nlink);
	CHECK_EQ(x.stx_uid, st.st_uid);
	CHECK_EQ(x.stx_mtime.tv_sec, st.st_mtim.tv_sec);
	CHECK_EQ(x.stx_mtime.tv_nsec, st.st_mtim.tv_nsec);
	CHECK_EQ(x.stx_blksize, st.st_blksize);
	CHECK_EQ(((unsigned long)x.stx_dev_major << 8 | x.stx_dev_minor) != 0,
		 1);
	CHECK_EQ(x.stx_rdev_major, 0);
}

static void descriptor_and_links(void)
{
	struct statx x;

	t_put(t_at("f"), "12345");
	MUST(symlink("f", t_at("l")));
	int dir = MUST(open(t_dir, O_RDONLY | O_DIRECTORY));
	int fd = MUST(open(t_at("f"), O_RDONLY));

	CHECK_OK(statx(dir, "l", 0, STATX_TYPE | STATX_SIZE, &x));
	CHECK(S_ISREG(x.stx_mode));
	CHECK_OK(statx(dir, "l", AT_SYMLINK_NOFOLLOW, STATX_TYPE, &x));
	CHECK(S_ISLNK(x.stx_mode));
	CHECK_OK(statx(fd, "", AT_EMPTY_PATH, STATX_SIZE, &x));
	CHECK_EQ(x.stx_size, 5);
	CHECK_OK(statx(dir, "f", AT_STATX_DONT_SYNC, STATX_ALL, &x));
	CHECK_OK(statx(dir, "f", AT_STATX_FORCE_SYNC, STATX_ALL, &x));
	CHECK_OK(close(fd));
	CHECK_OK(close(dir));
}

static void errors(void)
{
	struct statx x;

	t_put(t_at("f"), "x");
	CHECK_ERRNO(statx(AT_FDCWD, t_at("none"), 0, STATX_ALL, &x), ENOENT);
	CHECK_ERRNO(statx(AT_FDCWD, t_at("f"), 0x40000000, STATX_ALL, &x),
		    EINVAL);
	CHECK_ERRNO(statx(AT_FDCWD, t_at("f"), 0, STATX__RESERVED, &x), EINVAL);
	CHECK_ERRNO(statx(AT_FDCWD, t_at("f"),
			  AT_STATX_DONT_SYNC | AT_STATX_FORCE_SYNC, STATX_ALL,
			  &x),
		    EINVAL);
	CHECK_ERRNO(statx(-1, "f", 0, STATX_ALL, &x), EBADF);
	CHECK_ERRNO(statx(-1, "", AT_EMPTY_PATH, STATX_ALL, &x), EBADF);
	int fd = MUST(open(t_at("f"), O_RDONLY));

	CHECK_ERRNO(statx(fd, "", 0, STATX_ALL, &x), ENOENT);
	CHECK_ERRNO(statx(fd, "g", 0, STATX_ALL, &x), ENOTDIR);
	CHECK_ERRNO(statx(AT_FDCWD, t_at("f"), 0, STATX_ALL, t_bad_pointer(0)),
		    EFAULT);
	CHECK_ERRNO(statx(AT_FDCWD, t_bad_pointer(1), 0, STATX_ALL, &x),
		    EFAULT);
	CHECK_OK(close(fd));
}

/* What is not on DAOS must come out of the kernel whole. */
static void of_a_kernel_file(void)
{
	struct statx x;

	memset(&x, 0, sizeof(x));
	CHECK_OK(statx(AT_FDCWD, "/proc/self/exe", 0, STATX_ALL, &x));
	CHECK(x.stx_mask & STATX_INO);
	CHECK(x.stx_dev_major || x.stx_dev_minor);
	CHECK(x.stx_ino != 0);
}

T_MAIN(CASE(agrees_with_stat), CASE(descriptor_and_links), CASE(errors),
       CASE(of_a_kernel_file))
