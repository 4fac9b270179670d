/* chdir, fchdir, getcwd: names, limits, removed and renamed directories. */
#include "t.h"

static void moves(void)
{
	char buf[PATH_MAX];

	MUST(mkdir(t_at("a"), 0755));
	MUST(mkdir(t_at("a/b"), 0755));
	MUST(symlink("a/b", t_at("l")));
	CHECK_OK(chdir(t_at("a")));
	CHECK_STR(getcwd(buf, sizeof(buf)), t_at("a"));
	CHECK_OK(chdir("b"));
	CHECK_STR(getcwd(buf, sizeof(buf)), t_at("a/b"));
	CHECK_OK(chdir(".."));
	CHECK_OK(chdir("./b/../b/."));
	CHECK_STR(getcwd(buf, sizeof(buf)), t_at("a/b"));
	CHECK_OK(chdir("../.."));
	CHECK_STR(getcwd(buf, sizeof(buf)), t_dir);
	CHECK_OK(chdir("l"));
	CHECK_STR(getcwd(buf, sizeof(buf)), t_at("a/b"));
	CHECK_OK(chdir("/"));
	CHECK_STR(getcwd(buf, sizeof(buf)), "/");
	int dir = MUST(open(t_at("a"), O_RDONLY | O_DIRECTORY));

	CHECK_OK(fchdir(dir));
	CHECK_STR(getcwd(buf, sizeof(buf)), t_at("a"));
	CHECK_OK(close(dir));
	CHECK_OK(access("b", F_OK));
	dir = MUST(open("b", O_PATH | O_DIRECTORY));
	CHECK_OK(fchdir(dir));
	CHECK_STR(getcwd(buf, sizeof(buf)), t_at("a/b"));
	CHECK_OK(close(dir));
}

static void buffers(void)
{
	char buf[PATH_MAX];
	size_t len = strlen(t_dir);

	MUST(chdir(t_dir));
	errno = 0;
	CHECK(getcwd(buf, len) == NULL);
	CHECK_EQ(errno, ERANGE);
	CHECK_STR(getcwd(buf, len + 1), t_dir);
	errno = 0;
	volatile size_t zero = 0;
	CHECK(getcwd(buf, zero) == NULL);
	CHECK_EQ(errno, EINVAL);
	char *made = getcwd(NULL, 0);

	CHECK_STR(made, t_dir);
	free(made);
	made = get_current_dir_name();
	CHECK_STR(made, t_dir);
	free(made);
}

static void errors(void)
{
	char buf[PATH_MAX];

	t_put(t_at("f"), "x");
	MUST(chdir(t_dir));
	CHECK_ERRNO(chdir(t_at("none")), ENOENT);
	CHECK_ERRNO(chdir("f"), ENOTDIR);
	CHECK_ERRNO(chdir(""), ENOENT);
	CHECK_ERRNO(chdir(t_bad_pointer(0)), EFAULT);
	CHECK_ERRNO(fchdir(-1), EBADF);
	int fd = MUST(open("f", O_RDONLY));

	CHECK_ERRNO(fchdir(fd), ENOTDIR);
	CHECK_OK(close(fd));
	if (!t_root()) {
		MUST(mkdir("closed", 0));
		CHECK_ERRNO(chdir("closed"), EACCES);
		MUST(chmod("closed", 0755));
	}
	CHECK_STR(getcwd(buf, sizeof(buf)), t_dir);
}

static void everything_relative(void)
{
	struct stat st;
	char buf[16];

	MUST(mkdir(t_at("d"), 0755));
	MUST(chdir(t_at("d")));
	int fd = MUST(open("f", O_RDWR | O_CREAT, 0644));

	CHECK_EQ(write(fd, "rel", 3), 3);
	CHECK_OK(close(fd));
	CHECK_OK(stat("f", &st));
	CHECK_OK(chmod("f", 0600));
	CHECK_OK(symlink("f", "l"));
	CHECK_EQ(readlink("l", buf, 16), 1);
	CHECK_OK(rename("f", "../g"));
	CHECK_OK(mkdir("sub", 0755));
	CHECK_OK(rmdir("sub"));
	CHECK_OK(unlink("l"));
	CHECK_OK(truncate("../g", 1));
	CHECK_FILE(t_at("g"), "r");
	CHECK_OK(chdir(t_dir));
	CHECK_OK(rmdir("d"));
}

static void look_around(void *arg)
{
	char buf[PATH_MAX];

	(void)arg;
	CHECK_STR(getcwd(buf, sizeof(buf)), t_at("d"));
	CHECK_FILE("f", "here");
	CHECK_OK(chdir(".."));
	t_put("from-child", "c");
}

static void inherited_by_fork(void)
{
	char buf[PATH_MAX];

	MUST(mkdir(t_at("d"), 0755));
	t_put(t_at("d/f"), "here");
	MUST(chdir(t_at("d")));
	CHECK_CHILD(look_around, NULL);
	CHECK_STR(getcwd(buf, sizeof(buf)), t_at("d"));
	CHECK_FILE("../from-child", "c");
}

static void removed_under_us(void)
{
	char buf[PATH_MAX];

	MUST(mkdir(t_at("d"), 0755));
	MUST(chdir(t_at("d")));
	CHECK_OK(rmdir("../d"));
	errno = 0;
	CHECK(getcwd(buf, sizeof(buf)) == NULL);
	CHECK_EQ(errno, ENOENT);
	CHECK_ERRNO(open("f", O_RDWR | O_CREAT, 0644), ENOENT);
	struct stat st;

	CHECK_OK(stat(".", &st));
	CHECK_OK(chdir(t_dir));
}

static void above_the_base(void)
{
	char buf[PATH_MAX], want[PATH_MAX];

	/* ".." climbs out of the working directory into what is above. */
	MUST(chdir(t_base));
	CHECK_OK(chdir(".."));
	snprintf(want, sizeof(want), "%s", t_base);
	char *slash = strrchr(want, '/');

	slash[slash == want] = '\0';
	CHECK_STR(getcwd(buf, sizeof(buf)), want);
	CHECK_OK(chdir("/"));
	CHECK_OK(chdir(".."));
	CHECK_STR(getcwd(buf, sizeof(buf)), "/");
}

T_MAIN(CASE(moves), CASE(buffers), CASE(errors), CASE(everything_relative),
       CASE(inherited_by_fork), CASE(removed_under_us), CASE(above_the_base))
