/* open(2): what each flag does to a file that exists, and to one that does not. */
#include "t.h"

static void creates_with_mode(void)
{
	int fd = MUST(open(t_at("f"), O_WRONLY | O_CREAT, 0640));

	CHECK_EQ(t_mode(t_at("f")), S_IFREG | 0640);
	CHECK_EQ(t_size(t_at("f")), 0);
	CHECK_OK(close(fd));
	fd = MUST(open(t_at("g"), O_RDWR | O_CREAT, 0666));
	CHECK_EQ(t_mode(t_at("g")), S_IFREG | 0644);
	CHECK_OK(close(fd));
	/* An existing file keeps its mode. */
	fd = MUST(open(t_at("f"), O_WRONLY | O_CREAT, 0600));
	CHECK_EQ(t_mode(t_at("f")), S_IFREG | 0640);
	CHECK_OK(close(fd));
	/* The mode counts for later opens only. */
	fd = MUST(open(t_at("ro"), O_RDWR | O_CREAT, 0400));
	CHECK_EQ(write(fd, "x", 1), 1);
	CHECK_OK(close(fd));
}

static void missing_is_enoent(void)
{
	CHECK_ERRNO(open(t_at("none"), O_RDONLY), ENOENT);
	CHECK_ERRNO(open(t_at("none"), O_WRONLY | O_TRUNC), ENOENT);
	CHECK_ERRNO(open(t_at("none/x"), O_RDONLY | O_CREAT, 0644), ENOENT);
	CHECK_ERRNO(open("", O_RDONLY), ENOENT);
}

static void excl(void)
{
	int fd = MUST(open(t_at("f"), O_WRONLY | O_CREAT | O_EXCL, 0644));

	CHECK_OK(close(fd));
	CHECK_ERRNO(open(t_at("f"), O_WRONLY | O_CREAT | O_EXCL, 0644), EEXIST);
	MUST(mkdir(t_at("d"), 0755));
	CHECK_ERRNO(open(t_at("d"), O_WRONLY | O_CREAT | O_EXCL, 0644), EEXIST);
	/* A link is not followed, not even a dangling one. */
	MUST(symlink("nowhere", t_at("l")));
	CHECK_ERRNO(open(t_at("l"), O_WRONLY | O_CREAT | O_EXCL, 0644), EEXIST);
	CHECK(!t_exists(t_at("nowhere")));
}

static void create_through_dangling_link(void)
{
	MUST(symlink("target", t_at("l")));
	CHECK_ERRNO(open(t_at("l"), O_RDONLY), ENOENT);
	int fd = MUST(open(t_at("l"), O_WRONLY | O_CREAT, 0644));

	CHECK_EQ(write(fd, "via", 3), 3);
	CHECK_OK(close(fd));
	CHECK_FILE(t_at("target"), "via");
}

static void truncates(void)
{
	t_put(t_at("f"), "12345");
	int fd = MUST(open(t_at("f"), O_WRONLY));

	CHECK_OK(close(fd));
	CHECK_EQ(t_size(t_at("f")), 5);
	fd = MUST(open(t_at("f"), O_WRONLY | O_TRUNC));
	CHECK_EQ(t_size(t_at("f")), 0);
	CHECK_OK(close(fd));
	t_put(t_at("f"), "12345");
	fd = MUST(open(t_at("f"), O_RDWR | O_CREAT | O_TRUNC, 0644));
	CHECK_EQ(t_size(t_at("f")), 0);
	CHECK_OK(close(fd));
}

static void append(void)
{
	char got[16];

	t_put(t_at("f"), "one");
	int fd = MUST(open(t_at("f"), O_RDWR | O_APPEND));

	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 0);
	CHECK_EQ(write(fd, "two", 3), 3);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 6);
	CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
	CHECK_EQ(read(fd, got, 3), 3);
	CHECK_MEM(got, "one", 3);
	CHECK_EQ(write(fd, "six", 3), 3);
	CHECK_FILE(t_at("f"), "onetwosix");
	CHECK(fcntl(fd, F_GETFL) & O_APPEND);
	CHECK_OK(close(fd));
}

static void access_mode(void)
{
	char c = 'x';

	t_put(t_at("f"), "data");
	int fd = MUST(open(t_at("f"), O_RDONLY));

	CHECK_ERRNO(write(fd, "x", 1), EBADF);
	CHECK_ERRNO(pwrite(fd, "x", 1, 0), EBADF);
	CHECK_ERRNO2(ftruncate(fd, 1), EINVAL, EBADF);
	CHECK_EQ(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	CHECK_OK(close(fd));
	fd = MUST(open(t_at("f"), O_WRONLY));
	CHECK_ERRNO(read(fd, &c, 1), EBADF);
	CHECK_ERRNO(pread(fd, &c, 1, 0), EBADF);
	CHECK_EQ(fcntl(fd, F_GETFL) & O_ACCMODE, O_WRONLY);
	CHECK_OK(close(fd));
	fd = MUST(open(t_at("f"), O_RDWR));
	CHECK_EQ(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
	CHECK_OK(close(fd));
	CHECK_FILE(t_at("f"), "data");
}

static void directory(void)
{
	char buf[8];

	t_put(t_at("f"), "x");
	MUST(mkdir(t_at("d"), 0755));
	CHECK_ERRNO(open(t_at("f"), O_RDONLY | O_DIRECTORY), ENOTDIR);
	CHECK_ERRNO(open(t_at("none"), O_RDONLY | O_DIRECTORY), ENOENT);
	CHECK_ERRNO(open(t_at("d"), O_WRONLY), EISDIR);
	CHECK_ERRNO(open(t_at("d"), O_RDWR), EISDIR);
	CHECK_ERRNO(open(t_at("d"), O_RDONLY | O_TRUNC), EISDIR);
	CHECK_ERRNO(open(t_at("d"), O_WRONLY | O_CREAT, 0644), EISDIR);
	CHECK_ERRNO(open(t_at("d"), O_RDONLY | O_CREAT, 0644), EISDIR);
	int fd = MUST(open(t_at("d"), O_RDONLY));

	CHECK_ERRNO(read(fd, buf, sizeof(buf)), EISDIR);
	CHECK_ERRNO(write(fd, buf, sizeof(buf)), EBADF);
	CHECK_OK(close(fd));
	fd = MUST(open(t_at("d"), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	CHECK_OK(close(fd));
}

static void nofollow(void)
{
	t_put(t_at("f"), "x");
	MUST(mkdir(t_at("d"), 0755));
	t_put(t_at("d/in"), "y");
	MUST(symlink("f", t_at("l")));
	MUST(symlink("d", t_at("ld")));
	CHECK_ERRNO(open(t_at("l"), O_RDONLY | O_NOFOLLOW), ELOOP);
	CHECK_ERRNO2(open(t_at("ld"), O_RDONLY | O_NOFOLLOW | O_DIRECTORY),
		     ENOTDIR, ELOOP);
	/* Only the last component counts. */
	CHECK_OK(close(open(t_at("ld/in"), O_RDONLY | O_NOFOLLOW)));
	CHECK_OK(close(open(t_at("f"), O_RDONLY | O_NOFOLLOW)));
}

static void path_only(void)
{
	struct stat st;
	char c;

	t_put(t_at("f"), "abc");
	MUST(mkdir(t_at("d"), 0755));
	t_put(t_at("d/in"), "y");
	MUST(symlink("f", t_at("l")));
	int fd = MUST(open(t_at("f"), O_PATH));

	CHECK_ERRNO(read(fd, &c, 1), EBADF);
	CHECK_ERRNO(write(fd, &c, 1), EBADF);
	CHECK_ERRNO(lseek(fd, 0, SEEK_SET), EBADF);
	CHECK_ERRNO(ftruncate(fd, 0), EBADF);
	CHECK_ERRNO(fchmod(fd, 0600), EBADF);
	CHECK_OK(fstat(fd, &st));
	CHECK_EQ(st.st_size, 3);
	CHECK(fcntl(fd, F_GETFL) & O_PATH);
	int dup_fd = dup(fd);

	CHECK_OK(close(dup_fd));
	CHECK_OK(close(fd));
	fd = MUST(open(t_at("l"), O_PATH | O_NOFOLLOW));
	CHECK_OK(fstat(fd, &st));
	CHECK(S_ISLNK(st.st_mode));
	CHECK_OK(close(fd));
	fd = MUST(open(t_at("d"), O_PATH | O_DIRECTORY));
	CHECK_OK(close(openat(fd, "in", O_RDONLY)));
	CHECK_OK(close(fd));
	CHECK_ERRNO(open(t_at("none"), O_PATH), ENOENT);
}

static void cloexec(void)
{
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	CHECK_EQ(fcntl(fd, F_GETFD), 0);
	CHECK_OK(close(fd));
	fd = MUST(open(t_at("f"), O_RDWR | O_CLOEXEC));
	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	CHECK_OK(close(fd));
}

static void trailing_slash(void)
{
	t_put(t_at("f"), "x");
	MUST(mkdir(t_at("d"), 0755));
	CHECK_ERRNO(open(t_at("f/"), O_RDONLY), ENOTDIR);
	CHECK_ERRNO(open(t_at("f/."), O_RDONLY), ENOTDIR);
	CHECK_ERRNO(open(t_at("f/.."), O_RDONLY), ENOTDIR);
	CHECK_ERRNO(open(t_at("new/"), O_WRONLY | O_CREAT, 0644), EISDIR);
	CHECK(!t_exists(t_at("new")));
	CHECK_OK(close(open(t_at("d/"), O_RDONLY)));
	CHECK_OK(close(open(t_at("d//"), O_RDONLY)));
	CHECK_OK(close(open(t_at("d/."), O_RDONLY)));
	CHECK_OK(close(open(t_at("d/../f"), O_RDONLY)));
	CHECK_OK(close(open(t_at(".//d/.././f"), O_RDONLY)));
}

static void harmless_flags(void)
{
	int fd = MUST(open(t_at("f"),
			   O_RDWR | O_CREAT | O_NONBLOCK | O_NOCTTY | O_SYNC,
			   0644));
	CHECK_EQ(write(fd, "abc", 3), 3);
	CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
	CHECK_OK(close(fd));
	fd = MUST(open(t_at("f"), O_RDONLY | O_NOATIME | O_DSYNC));
	CHECK_OK(close(fd));
	CHECK_FILE(t_at("f"), "abc");
}

static void create_and_write_only_truncate(void)
{
	int fd = MUST(open(t_at("f"), O_CREAT | O_TRUNC | O_WRONLY, 0644));

	CHECK_EQ(write(fd, "hello", 5), 5);
	int again = MUST(open(t_at("f"), O_CREAT | O_TRUNC | O_WRONLY, 0644));

	/* The first descriptor keeps its offset: a hole appears. */
	CHECK_EQ(write(fd, "!", 1), 1);
	CHECK_FILE_MEM(t_at("f"), "\0\0\0\0\0!", 6);
	CHECK_OK(close(fd));
	CHECK_OK(close(again));
}

T_MAIN(CASE(creates_with_mode), CASE(missing_is_enoent), CASE(excl),
       CASE(create_through_dangling_link), CASE(truncates), CASE(append),
       CASE(access_mode), CASE(directory), CASE(nofollow), CASE(path_only),
       CASE(cloexec), CASE(trailing_slash), CASE(harmless_flags),
       CASE(create_and_write_only_truncate))
