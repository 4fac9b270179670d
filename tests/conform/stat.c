/* stat, lstat, fstat: the same facts by path, link and descriptor. */
#include <sys/sysmacros.h>
#include <time.h>
#include "t.h"

static void of_a_file(void)
{
	struct stat by_path, by_fd;

	t_put(t_at("f"), "12345");
	int fd = MUST(open(t_at("f"), O_RDONLY));

	memset(&by_path, 0xee, sizeof(by_path));
	memset(&by_fd, 0x11, sizeof(by_fd));
	CHECK_OK(stat(t_at("f"), &by_path));
	CHECK_OK(fstat(fd, &by_fd));
	CHECK_EQ(by_path.st_mode, S_IFREG | 0644);
	CHECK_EQ(by_path.st_size, 5);
	CHECK_EQ(by_path.st_nlink, 1);
	CHECK_EQ(by_path.st_uid, geteuid());
	CHECK_EQ(by_path.st_gid, getegid());
	CHECK(by_path.st_ino != 0);
	CHECK(by_path.st_blksize > 0);
	CHECK(by_path.st_blocks >= 0);
	CHECK_EQ(by_path.st_rdev, 0);
	CHECK_EQ(by_fd.st_mode, by_path.st_mode);
	CHECK_EQ(by_fd.st_ino, by_path.st_ino);
	CHECK_EQ(by_fd.st_dev, by_path.st_dev);
	CHECK_EQ(by_fd.st_size, by_path.st_size);
	CHECK_EQ(by_fd.st_nlink, by_path.st_nlink);
	CHECK_EQ(by_fd.st_uid, by_path.st_uid);
	CHECK_EQ(by_fd.st_mtim.tv_sec, by_path.st_mtim.tv_sec);
	CHECK_EQ(by_fd.st_mtim.tv_nsec, by_path.st_mtim.tv_nsec);
	CHECK_EQ(by_fd.st_ctim.tv_sec, by_path.st_ctim.tv_sec);
	CHECK_OK(close(fd));
}

static void identity(void)
{
	struct stat a, b, d, top;

	t_put(t_at("a"), "");
	t_put(t_at("b"), "");
	MUST(mkdir(t_at("d"), 0755));
	CHECK_OK(stat(t_at("a"), &a));
	CHECK_OK(stat(t_at("b"), &b));
	CHECK_OK(stat(t_at("d"), &d));
	CHECK_OK(stat(t_dir, &top));
	CHECK(a.st_ino != b.st_ino);
	CHECK(a.st_ino != d.st_ino);
	CHECK(top.st_ino != d.st_ino);
	CHECK_EQ(a.st_dev, top.st_dev);
	CHECK_EQ(d.st_dev, top.st_dev);
	struct stat again;

	CHECK_OK(stat(t_at("d/.."), &again));
	CHECK_EQ(again.st_ino, top.st_ino);
	CHECK_OK(stat(t_at("d/."), &again));
	CHECK_EQ(again.st_ino, d.st_ino);
	MUST(rename(t_at("a"), t_at("d/c")));
	CHECK_OK(stat(t_at("d/c"), &again));
	CHECK_EQ(again.st_ino, a.st_ino);
}

static void of_a_directory(void)
{
	struct stat st, by_fd;

	MUST(mkdir(t_at("d"), 0750));
	CHECK_OK(stat(t_at("d"), &st));
	CHECK_EQ(st.st_mode, S_IFDIR | 0750);
	CHECK(st.st_nlink >= 1);
	CHECK(st.st_size >= 0);
	int fd = MUST(open(t_at("d"), O_RDONLY));

	CHECK_OK(fstat(fd, &by_fd));
	CHECK_EQ(by_fd.st_ino, st.st_ino);
	CHECK_EQ(by_fd.st_mode, st.st_mode);
	CHECK_OK(close(fd));
}

static void of_a_link(void)
{
	struct stat st;

	t_put(t_at("f"), "abc");
	MUST(symlink("f", t_at("l")));
	MUST(symlink("a/longer/target", t_at("dangling")));
	CHECK_OK(lstat(t_at("l"), &st));
	CHECK_EQ(st.st_mode, S_IFLNK | 0777);
	CHECK_EQ(st.st_size, 1);
	CHECK_OK(stat(t_at("l"), &st));
	CHECK(S_ISREG(st.st_mode));
	CHECK_EQ(st.st_size, 3);
	CHECK_OK(lstat(t_at("dangling"), &st));
	CHECK_EQ(st.st_size, (off_t)strlen("a/longer/target"));
	CHECK_ERRNO(stat(t_at("dangling"), &st), ENOENT);
}

static void errors(void)
{
	struct stat st;

	t_put(t_at("f"), "x");
	CHECK_ERRNO(stat(t_at("none"), &st), ENOENT);
	CHECK_ERRNO(lstat(t_at("none"), &st), ENOENT);
	CHECK_ERRNO(stat(t_at("f/x"), &st), ENOTDIR);
	CHECK_ERRNO(stat(t_at("f/"), &st), ENOTDIR);
	CHECK_ERRNO(lstat(t_at("f/"), &st), ENOTDIR);
	CHECK_ERRNO(stat(t_at("none/x"), &st), ENOENT);
	CHECK_ERRNO(stat("", &st), ENOENT);
	CHECK_ERRNO(fstat(-1, &st), EBADF);
	for (int i = 0; i < T_BAD_POINTERS; i++) {
		CHECK_ERRNO(stat(t_bad_pointer(i), &st), EFAULT);
		CHECK_ERRNO(lstat(t_at("f"), t_bad_pointer(i)), EFAULT);
	}
}

static void times_move_on(void)
{
	struct stat before, after;
	struct timespec pause = {.tv_nsec = 30000000};

	t_put(t_at("f"), "one");
	CHECK_OK(stat(t_at("f"), &before));
	CHECK(llabs((long long)time(NULL) - before.st_mtim.tv_sec) < 100);
	nanosleep(&pause, NULL);
	int fd = MUST(open(t_at("f"), O_WRONLY));

	CHECK_EQ(write(fd, "x", 1), 1);
	CHECK_OK(close(fd));
	CHECK_OK(stat(t_at("f"), &after));
	CHECK(after.st_mtim.tv_sec > before.st_mtim.tv_sec ||
	      after.st_mtim.tv_nsec > before.st_mtim.tv_nsec);
	/* A directory's time moves when a name comes. */
	CHECK_OK(stat(t_dir, &before));
	nanosleep(&pause, NULL);
	t_put(t_at("g"), "");
	CHECK_OK(stat(t_dir, &after));
	CHECK(after.st_mtim.tv_sec > before.st_mtim.tv_sec ||
	      after.st_mtim.tv_nsec > before.st_mtim.tv_nsec);
}

static void of_the_top(void)
{
	struct stat st, slash;

	CHECK_OK(stat(t_base, &st));
	CHECK(S_ISDIR(st.st_mode));
	char with[PATH_MAX];

	snprintf(with, sizeof(with), "%s/", t_base);
	CHECK_OK(stat(with, &slash));
	CHECK_EQ(slash.st_ino, st.st_ino);
	snprintf(with, sizeof(with), "//%s/../%s", t_base + 1,
		 strrchr(t_base, '/') + 1);
	CHECK_OK(stat(with, &slash));
	CHECK_EQ(slash.st_ino, st.st_ino);
	/* Through the directory above, whatever it is, back down. */
	CHECK_OK(stat("/../../dev/null", &st));
	CHECK(S_ISCHR(st.st_mode));
}

T_MAIN(CASE(of_a_file), CASE(identity), CASE(of_a_directory), CASE(of_a_link),
       CASE(errors), CASE(times_move_on), CASE(of_the_top))
