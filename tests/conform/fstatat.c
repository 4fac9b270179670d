/* fstatat(2) with its flags, and the forms relative to a descriptor. */
#include "t.h"

static void relative(void)
{
	struct stat st, want;

	MUST(mkdir(t_at("d"), 0755));
	t_put(t_at("d/f"), "abc");
	MUST(symlink("f", t_at("d/l")));
	int dir = MUST(open(t_at("d"), O_RDONLY | O_DIRECTORY));

	CHECK_OK(fstatat(dir, "f", &st, 0));
	CHECK_EQ(st.st_size, 3);
	CHECK_OK(fstatat(dir, "l", &st, 0));
	CHECK(S_ISREG(st.st_mode));
	CHECK_OK(fstatat(dir, "l", &st, AT_SYMLINK_NOFOLLOW));
	CHECK(S_ISLNK(st.st_mode));
	CHECK_OK(fstatat(dir, ".", &st, 0));
	CHECK_OK(fstat(dir, &want));
	CHECK_EQ(st.st_ino, want.st_ino);
	CHECK_OK(fstatat(dir, "..", &st, 0));
	CHECK_OK(stat(t_dir, &want));
	CHECK_EQ(st.st_ino, want.st_ino);
	CHECK_OK(fstatat(dir, t_at("d/f"), &st, 0));
	CHECK_OK(fstatat(-5, t_at("d/f"), &st, 0));
	CHECK_OK(close(dir));
	CHECK_ERRNO(fstatat(dir, "f", &st, 0), EBADF);
}

static void empty_path(void)
{
	struct stat st;

	t_put(t_at("f"), "abc");
	int fd = MUST(open(t_at("f"), O_RDONLY));

	CHECK_OK(fstatat(fd, "", &st, AT_EMPTY_PATH));
	CHECK_EQ(st.st_size, 3);
	CHECK_ERRNO(fstatat(fd, "", &st, 0), ENOENT);
	CHECK_ERRNO(fstatat(fd, "x", &st, AT_EMPTY_PATH), ENOTDIR);
	CHECK_ERRNO(fstatat(-1, "", &st, AT_EMPTY_PATH), EBADF);
	CHECK_OK(close(fd));
	MUST(chdir(t_dir));
	CHECK_OK(fstatat(AT_FDCWD, "", &st, AT_EMPTY_PATH));
	CHECK(S_ISDIR(st.st_mode));
}

static void errors(void)
{
	struct stat st;

	t_put(t_at("f"), "abc");
	CHECK_ERRNO(fstatat(AT_FDCWD, t_at("f"), &st, 0x40000000), EINVAL);
	CHECK_ERRNO(fstatat(-1, "f", &st, 0), EBADF);
	int dir = MUST(open(t_dir, O_RDONLY));

	for (int i = 0; i < T_BAD_POINTERS; i++) {
		CHECK_ERRNO(fstatat(dir, t_bad_pointer(i), &st, 0), EFAULT);
		CHECK_ERRNO(fstatat(dir, "f", t_bad_pointer(i), 0), EFAULT);
	}
	CHECK_OK(close(dir));
}

static void from_the_cwd(void)
{
	struct stat st;

	t_put(t_at("f"), "abc");
	MUST(chdir(t_dir));
	CHECK_OK(fstatat(AT_FDCWD, "f", &st, 0));
	CHECK_EQ(st.st_size, 3);
	CHECK_OK(stat("f", &st));
	CHECK_OK(lstat("./f", &st));
	CHECK_ERRNO(stat("none", &st), ENOENT);
}

T_MAIN(CASE(relative), CASE(empty_path), CASE(errors), CASE(from_the_cwd))
