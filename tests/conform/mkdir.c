/* mkdir(2), mkdirat(2). */
#include "t.h"

static void makes(void)
{
	CHECK_OK(mkdir(t_at("d"), 0755));
	CHECK_EQ(t_mode(t_at("d")), S_IFDIR | 0755);
	CHECK_OK(mkdir(t_at("d/e"), 0700));
	CHECK_EQ(t_mode(t_at("d/e")), S_IFDIR | 0700);
	CHECK_OK(mkdir(t_at("slash/"), 0755));
	CHECK(t_exists(t_at("slash")));
	CHECK_OK(mkdir(t_at("d/./f"), 0777));
	CHECK_EQ(t_mode(t_at("d/f")), S_IFDIR | 0755);
	CHECK_OK(mkdir(t_at("d/../g"), 0777));
	CHECK(t_exists(t_at("g")));
}

static void at_descriptor(void)
{
	int dir = MUST(open(t_dir, O_RDONLY | O_DIRECTORY));

	CHECK_OK(mkdirat(dir, "d", 0755));
	CHECK_OK(mkdirat(dir, "d/e", 0755));
	CHECK_OK(mkdirat(-1, t_at("abs"), 0755));
	MUST(chdir(t_dir));
	CHECK_OK(mkdir("rel", 0755));
	CHECK_OK(mkdirat(AT_FDCWD, "rel/x", 0755));
	CHECK(t_exists(t_at("rel/x")));
	CHECK(t_exists(t_at("d/e")));
	CHECK(t_exists(t_at("abs")));
	CHECK_ERRNO(mkdirat(-1, "x", 0755), EBADF);
	CHECK_OK(close(dir));
}

static void errors(void)
{
	MUST(mkdir(t_at("d"), 0755));
	t_put(t_at("f"), "x");
	MUST(symlink("nowhere", t_at("l")));
	CHECK_ERRNO(mkdir(t_at("d"), 0755), EEXIST);
	CHECK_ERRNO(mkdir(t_at("d/"), 0755), EEXIST);
	CHECK_ERRNO(mkdir(t_at("d/."), 0755), EEXIST);
	CHECK_ERRNO(mkdir(t_at("d/.."), 0755), EEXIST);
	CHECK_ERRNO(mkdir(t_at("f"), 0755), EEXIST);
	CHECK_ERRNO(mkdir(t_at("l"), 0755), EEXIST);
	CHECK_ERRNO(mkdir(t_at("f/x"), 0755), ENOTDIR);
	CHECK_ERRNO(mkdir(t_at("none/x"), 0755), ENOENT);
	CHECK_ERRNO(mkdir("", 0755), ENOENT);
	CHECK_ERRNO(mkdir("/", 0755), EEXIST);
	CHECK_ERRNO(mkdir(t_base, 0755), EEXIST);
	for (int i = 0; i < T_BAD_POINTERS; i++)
		CHECK_ERRNO(mkdir(t_bad_pointer(i), 0755), EFAULT);
	CHECK(!t_exists(t_at("nowhere")));
}

static void deep(void)
{
	char path[PATH_MAX];
	int len = snprintf(path, sizeof(path), "%s", t_dir);

	for (int i = 0; i < 60; i++) {
		len += snprintf(path + len, sizeof(path) - len, "/level%02d",
				i);
		CHECK_OK(mkdir(path, 0755));
	}
	CHECK(t_exists(path));
	for (int i = 0; i < 60; i++) {
		CHECK_OK(rmdir(path));
		*strrchr(path, '/') = '\0';
	}
}

T_MAIN(CASE(makes), CASE(at_descriptor), CASE(errors), CASE(deep))
