/* rmdir(2), unlinkat(AT_REMOVEDIR). */
#include "t.h"

static void removes(void)
{
	MUST(mkdir(t_at("d"), 0755));
	CHECK_OK(rmdir(t_at("d")));
	CHECK(!t_exists(t_at("d")));
	MUST(mkdir(t_at("d"), 0755));
	CHECK_OK(rmdir(t_at("d/")));
	int dir = MUST(open(t_dir, O_RDONLY | O_DIRECTORY));

	MUST(mkdirat(dir, "d", 0755));
	CHECK_OK(unlinkat(dir, "d", AT_REMOVEDIR));
	CHECK(!t_exists(t_at("d")));
	CHECK_OK(close(dir));
	MUST(chdir(t_dir));
	MUST(mkdir("d", 0755));
	CHECK_OK(rmdir("d"));
}

static void errors(void)
{
	MUST(mkdir(t_at("d"), 0755));
	t_put(t_at("d/f"), "x");
	t_put(t_at("f"), "x");
	MUST(symlink("e", t_at("l")));
	MUST(mkdir(t_at("e"), 0755));
	CHECK_ERRNO(rmdir(t_at("d")), ENOTEMPTY);
	CHECK_ERRNO(rmdir(t_at("f")), ENOTDIR);
	CHECK_ERRNO(rmdir(t_at("l")), ENOTDIR);
	CHECK_ERRNO(rmdir(t_at("none")), ENOENT);
	CHECK_ERRNO(rmdir(t_at("none/x")), ENOENT);
	CHECK_ERRNO(rmdir(t_at("f/x")), ENOTDIR);
	CHECK_ERRNO(rmdir(t_at("e/.")), EINVAL);
	CHECK_ERRNO(rmdir(t_at("d/..")), ENOTEMPTY);
	CHECK_ERRNO(rmdir(""), ENOENT);
	CHECK_ERRNO(rmdir(t_bad_pointer(0)), EFAULT);
	CHECK(t_exists(t_at("f")));
	CHECK(t_exists(t_at("e")));
	CHECK(t_exists(t_at("d/f")));
	int dir = MUST(open(t_dir, O_RDONLY | O_DIRECTORY));

	CHECK_ERRNO(unlinkat(dir, "f", AT_REMOVEDIR), ENOTDIR);
	CHECK_ERRNO(unlinkat(dir, "e", 0x40000000), EINVAL);
	CHECK_ERRNO(unlinkat(dir, ".", AT_REMOVEDIR), EINVAL);
	CHECK_OK(close(dir));
}

static void of_an_open_directory(void)
{
	struct stat st;

	MUST(mkdir(t_at("d"), 0755));
	int fd = MUST(open(t_at("d"), O_RDONLY | O_DIRECTORY));

	CHECK_OK(rmdir(t_at("d")));
	CHECK_OK(fstat(fd, &st));
	CHECK(S_ISDIR(st.st_mode));
	CHECK_ERRNO(openat(fd, "x", O_WRONLY | O_CREAT, 0644), ENOENT);
	CHECK_OK(close(fd));
}

static void of_the_cwd(void)
{
	char buf[PATH_MAX];

	MUST(mkdir(t_at("d"), 0755));
	MUST(chdir(t_at("d")));
	CHECK_OK(rmdir(t_at("d")));
	CHECK_ERRNO(open("x", O_WRONLY | O_CREAT, 0644), ENOENT);
	CHECK_ERRNO(mkdir("x", 0755), ENOENT);
	errno = 0;
	CHECK(getcwd(buf, sizeof(buf)) == NULL);
	CHECK_EQ(errno, ENOENT);
	MUST(chdir("/"));
}

T_MAIN(CASE(removes), CASE(errors), CASE(of_an_open_directory),
       CASE(of_the_cwd))
