/* link(2), linkat(2). DFS has no hard links: a mount answers EPERM. */
#include "t.h"

static void two_names(void)
{
	struct stat a, b;

	t_put(t_at("a"), "x");
	if (t_mount()) {
		/* No hard links on DAOS: refused, and nothing changed. */
		CHECK_ERRNO2(link(t_at("a"), t_at("b")), EPERM, EOPNOTSUPP);
		CHECK(!t_exists(t_at("b")));
		CHECK_ERRNO2(linkat(AT_FDCWD, t_at("a"), AT_FDCWD, t_at("b"),
				    AT_SYMLINK_FOLLOW),
			     EPERM, EOPNOTSUPP);
		CHECK_FILE(t_at("a"), "x");
		return;
	}
	CHECK_OK(link(t_at("a"), t_at("b")));
	MUST(stat(t_at("a"), &a));
	MUST(stat(t_at("b"), &b));
	CHECK_EQ(a.st_ino, b.st_ino);
	CHECK_EQ(a.st_nlink, 2);
	int dir = MUST(open(t_dir, O_RDONLY));

	CHECK_OK(linkat(dir, "a", dir, "c", 0));
	CHECK_OK(unlink(t_at("a")));
	CHECK_FILE(t_at("c"), "x");
	CHECK_OK(close(dir));
}

static void errors(void)
{
	t_put(t_at("a"), "x");
	t_put(t_at("b"), "x");
	MUST(mkdir(t_at("d"), 0755));
	CHECK_ERRNO(link(t_at("none"), t_at("x")), ENOENT);
	if (!t_mount()) {
		CHECK_ERRNO(link(t_at("a"), t_at("b")), EEXIST);
		CHECK_ERRNO(link(t_at("d"), t_at("x")), EPERM);
	}
	CHECK_ERRNO(linkat(-1, "a", -1, "x", 0), EBADF);
	CHECK_ERRNO(link(t_bad_pointer(0), t_at("x")), EFAULT);
}

T_MAIN(CASE(two_names), CASE(errors))
