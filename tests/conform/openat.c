/* openat(2): relative to a directory descriptor, to AT_FDCWD, and absolute. */
#include "t.h"

static void relative_to_descriptor(void)
{
	MUST(mkdir(t_at("d"), 0755));
	int dir = MUST(open(t_at("d"), O_RDONLY | O_DIRECTORY));
	int fd = MUST(openat(dir, "f", O_RDWR | O_CREAT, 0644));

	CHECK_EQ(write(fd, "in d", 4), 4);
	CHECK_OK(close(fd));
	CHECK_FILE(t_at("d/f"), "in d");
	/* ".." and "." from the descriptor. */
	fd = MUST(openat(dir, "../up", O_WRONLY | O_CREAT, 0644));
	CHECK_OK(close(fd));
	CHECK(t_exists(t_at("up")));
	CHECK_OK(close(openat(dir, ".", O_RDONLY)));
	CHECK_OK(close(openat(dir, "./f", O_RDONLY)));
	/* An absolute path ignores the descriptor, even a bad one. */
	CHECK_OK(close(openat(dir, t_at("up"), O_RDONLY)));
	CHECK_OK(close(openat(-1, t_at("up"), O_RDONLY)));
	CHECK_OK(close(openat(12345, t_at("up"), O_RDONLY)));
	CHECK_ERRNO(openat(dir, "", O_RDONLY), ENOENT);
	CHECK_OK(close(dir));
	CHECK_ERRNO(openat(dir, "f", O_RDONLY), EBADF);
	CHECK_ERRNO(openat(-1, "f", O_RDONLY), EBADF);
}

static void relative_to_cwd(void)
{
	MUST(mkdir(t_at("d"), 0755));
	MUST(chdir(t_at("d")));
	int fd = MUST(openat(AT_FDCWD, "f", O_WRONLY | O_CREAT, 0644));

	CHECK_OK(close(fd));
	CHECK(t_exists(t_at("d/f")));
	CHECK_OK(close(openat(AT_FDCWD, "../d/f", O_RDONLY)));
	CHECK_OK(close(open("f", O_RDONLY)));
	CHECK_OK(close(open("./../d/./f", O_RDONLY)));
}

static void not_a_directory(void)
{
	t_put(t_at("f"), "x");
	int fd = MUST(open(t_at("f"), O_RDONLY));

	CHECK_ERRNO(openat(fd, "x", O_RDONLY), ENOTDIR);
	CHECK_ERRNO(openat(fd, ".", O_RDONLY), ENOTDIR);
	CHECK_ERRNO(openat(fd, "x", O_WRONLY | O_CREAT, 0644), ENOTDIR);
	CHECK_OK(close(fd));
}

static void survives_rename(void)
{
	MUST(mkdir(t_at("d"), 0755));
	int dir = MUST(open(t_at("d"), O_RDONLY | O_DIRECTORY));

	MUST(rename(t_at("d"), t_at("e")));
	int fd = MUST(openat(dir, "f", O_WRONLY | O_CREAT, 0644));

	CHECK_OK(close(fd));
	CHECK(t_exists(t_at("e/f")));
	CHECK(!t_exists(t_at("d")));
	CHECK_OK(close(dir));
}

static void of_a_removed_directory(void)
{
	MUST(mkdir(t_at("d"), 0755));
	int dir = MUST(open(t_at("d"), O_RDONLY | O_DIRECTORY));

	MUST(rmdir(t_at("d")));
	CHECK_ERRNO(openat(dir, "f", O_WRONLY | O_CREAT, 0644), ENOENT);
	CHECK_ERRNO(openat(dir, "f", O_RDONLY), ENOENT);
	CHECK_ERRNO(mkdirat(dir, "f", 0755), ENOENT);
	CHECK_OK(close(dir));
	/* A new directory of the same name is another one. */
	dir = MUST(open(t_dir, O_RDONLY | O_DIRECTORY));
	MUST(mkdirat(dir, "d", 0755));
	CHECK_OK(close(dir));
}

static void kernel_directory(void)
{
	int dir = MUST(open("/dev", O_RDONLY | O_DIRECTORY));
	int fd = MUST(openat(dir, "null", O_RDWR));

	CHECK_EQ(write(fd, "x", 1), 1);
	CHECK_OK(close(fd));
	/* From there into the working directory by its absolute name. */
	t_put(t_at("f"), "abs");
	CHECK_OK(close(openat(dir, t_at("f"), O_RDONLY)));
	/* And by "..": "/dev/../<dir>/f". */
	fd = openat(dir, t_at("f") + 1, O_RDONLY);
	CHECK(fd < 0);
	char up[PATH_MAX + 8];

	snprintf(up, sizeof(up), "..%s", t_at("f"));
	CHECK_OK(close(openat(dir, up, O_RDONLY)));
	CHECK_OK(close(dir));
}

T_MAIN(CASE(relative_to_descriptor), CASE(relative_to_cwd),
       CASE(not_a_directory), CASE(survives_rename),
       CASE(of_a_removed_directory), CASE(kernel_directory))
