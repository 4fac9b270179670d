/* utimensat, futimens, utimes, utime, futimes, lutimes: to the nanosecond. */
#include <sys/time.h>
#include <time.h>
#include <utime.h>
#include "t.h"

static struct stat st_of(const char *path)
{
	struct stat st;

	MUST(lstat(path, &st));
	return st;
}

static void exact(void)
{
	struct timespec ts[2] = {{1000000001, 123456789},
				 {1234567890, 987654321}};

	t_put(t_at("f"), "x");
	CHECK_OK(utimensat(AT_FDCWD, t_at("f"), ts, 0));
	struct stat st = st_of(t_at("f"));

	CHECK_EQ(st.st_mtim.tv_sec, 1234567890);
	CHECK_EQ(st.st_mtim.tv_nsec, 987654321);
	/* DFS keeps no atime: it answers max(ctime, mtime). */
	if (!t_mount()) {
		CHECK_EQ(st.st_atim.tv_sec, 1000000001);
		CHECK_EQ(st.st_atim.tv_nsec, 123456789);
	}
	int fd = MUST(open(t_at("f"), O_RDONLY));

	ts[1] = (struct timespec){77, 5};
	CHECK_OK(futimens(fd, ts));
	st = st_of(t_at("f"));
	CHECK_EQ(st.st_mtim.tv_sec, 77);
	CHECK_EQ(st.st_mtim.tv_nsec, 5);
	CHECK_EQ(st.st_size, 1);
	CHECK_OK(close(fd));
}

static void now_and_omit(void)
{
	struct timespec ts[2] = {{5, 0}, {6, 0}};
	time_t now = time(NULL);

	t_put(t_at("f"), "x");
	MUST(utimensat(AT_FDCWD, t_at("f"), ts, 0));
	ts[0].tv_nsec = UTIME_OMIT;
	ts[1].tv_nsec = UTIME_OMIT;
	CHECK_OK(utimensat(AT_FDCWD, t_at("f"), ts, 0));
	CHECK_EQ(st_of(t_at("f")).st_mtim.tv_sec, 6);
	ts[0].tv_nsec = UTIME_NOW;
	CHECK_OK(utimensat(AT_FDCWD, t_at("f"), ts, 0));
	CHECK_EQ(st_of(t_at("f")).st_mtim.tv_sec, 6);
	ts[0].tv_nsec = UTIME_OMIT;
	ts[1].tv_nsec = UTIME_NOW;
	CHECK_OK(utimensat(AT_FDCWD, t_at("f"), ts, 0));
	CHECK(st_of(t_at("f")).st_mtim.tv_sec >= now - 1);
	MUST(utimes(t_at("f"), (struct timeval[2]){{5, 0}, {6, 0}}));
	CHECK_OK(utimensat(AT_FDCWD, t_at("f"), NULL, 0));
	CHECK(st_of(t_at("f")).st_mtim.tv_sec >= now - 1);
	int fd = MUST(open(t_at("f"), O_RDONLY));

	MUST(utimes(t_at("f"), (struct timeval[2]){{5, 0}, {6, 0}}));
	CHECK_OK(futimens(fd, NULL));
	CHECK(st_of(t_at("f")).st_mtim.tv_sec >= now - 1);
	CHECK_OK(close(fd));
}

static void links(void)
{
	struct timespec ts[2] = {{10, 0}, {20, 0}};

	t_put(t_at("f"), "x");
	MUST(symlink("f", t_at("l")));
	CHECK_OK(utimensat(AT_FDCWD, t_at("l"), ts, 0));
	CHECK_EQ(st_of(t_at("f")).st_mtim.tv_sec, 20);
	ts[1].tv_sec = 30;
	CHECK_OK(utimensat(AT_FDCWD, t_at("l"), ts, AT_SYMLINK_NOFOLLOW));
	CHECK_EQ(st_of(t_at("f")).st_mtim.tv_sec, 20);
	CHECK_EQ(st_of(t_at("l")).st_mtim.tv_sec, 30);
	CHECK_OK(lutimes(t_at("l"), (struct timeval[2]){{1, 0}, {40, 0}}));
	CHECK_EQ(st_of(t_at("l")).st_mtim.tv_sec, 40);
}

static void older_calls(void)
{
	struct utimbuf old = {100, 200};
	struct timeval tv[2] = {{1, 0}, {2, 345678}};

	t_put(t_at("f"), "x");
	CHECK_OK(utime(t_at("f"), &old));
	CHECK_EQ(st_of(t_at("f")).st_mtim.tv_sec, 200);
	CHECK_OK(utimes(t_at("f"), tv));
	CHECK_EQ(st_of(t_at("f")).st_mtim.tv_sec, 2);
	CHECK_EQ(st_of(t_at("f")).st_mtim.tv_nsec, 345678000);
	int fd = MUST(open(t_at("f"), O_RDWR));

	tv[1].tv_sec = 3;
	CHECK_OK(futimes(fd, tv));
	CHECK_EQ(st_of(t_at("f")).st_mtim.tv_sec, 3);
	CHECK_OK(close(fd));
	int dir = MUST(open(t_dir, O_RDONLY | O_DIRECTORY));

	tv[1].tv_sec = 4;
	CHECK_OK(futimesat(dir, "f", tv));
	CHECK_EQ(st_of(t_at("f")).st_mtim.tv_sec, 4);
	CHECK_OK(close(dir));
	CHECK_OK(utime(t_at("f"), NULL));
	CHECK(st_of(t_at("f")).st_mtim.tv_sec > 1000);
}

static void directories(void)
{
	struct timespec ts[2] = {{10, 0}, {20, 5}};

	MUST(mkdir(t_at("d"), 0755));
	CHECK_OK(utimensat(AT_FDCWD, t_at("d"), ts, 0));
	CHECK_EQ(st_of(t_at("d")).st_mtim.tv_sec, 20);
	int fd = MUST(open(t_at("d"), O_RDONLY));

	ts[1].tv_sec = 21;
	CHECK_OK(futimens(fd, ts));
	CHECK_EQ(st_of(t_at("d")).st_mtim.tv_sec, 21);
	CHECK_OK(close(fd));
}

static void errors(void)
{
	struct timespec ts[2] = {{1, 0}, {1, 1000000000}};

	t_put(t_at("f"), "x");
	CHECK_ERRNO(utimensat(AT_FDCWD, t_at("f"), ts, 0), EINVAL);
	ts[1].tv_nsec = -1;
	CHECK_ERRNO(utimensat(AT_FDCWD, t_at("f"), ts, 0), EINVAL);
	CHECK_ERRNO(utimensat(AT_FDCWD, t_at("none"), NULL, 0), ENOENT);
	CHECK_ERRNO(utimensat(AT_FDCWD, t_at("f"), NULL, 0x40000000), EINVAL);
	CHECK_ERRNO(futimens(-1, NULL), EBADF);
	CHECK_ERRNO(utimensat(-1, "f", NULL, 0), EBADF);
	CHECK_ERRNO(
		utimes(t_at("f"), (struct timeval[2]){{0, 0}, {0, 1000000}}),
		EINVAL);
	CHECK_ERRNO(utimes(t_bad_pointer(1), NULL), EFAULT);
	CHECK_ERRNO(utimensat(AT_FDCWD, t_at("f"), t_bad_pointer(1), 0),
		    EFAULT);
}

T_MAIN(CASE(exact), CASE(now_and_omit), CASE(links), CASE(older_calls),
       CASE(directories), CASE(errors))
