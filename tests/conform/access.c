/* access, faccessat, euidaccess: what the mode allows to whom. */
#include "t.h"

static void of_the_owner(void)
{
	t_put(t_at("f"), "x");
	CHECK_OK(access(t_at("f"), F_OK));
	CHECK_OK(access(t_at("f"), R_OK | W_OK));
	CHECK_ERRNO(access(t_at("f"), X_OK), EACCES);
	MUST(chmod(t_at("f"), 0755));
	CHECK_OK(access(t_at("f"), R_OK | W_OK | X_OK));
	MUST(chmod(t_at("f"), 0444));
	CHECK_OK(access(t_at("f"), R_OK));
	if (t_root())
		CHECK_OK(access(t_at("f"), W_OK));
	else
		CHECK_ERRNO(access(t_at("f"), W_OK), EACCES);
	MUST(chmod(t_at("f"), 0));
	CHECK_OK(access(t_at("f"), F_OK));
	if (t_root())
		CHECK_OK(access(t_at("f"), R_OK));
	else
		CHECK_ERRNO(access(t_at("f"), R_OK), EACCES);
	MUST(mkdir(t_at("d"), 0700));
	CHECK_OK(access(t_at("d"), R_OK | W_OK | X_OK));
}

static void errors(void)
{
	t_put(t_at("f"), "x");
	MUST(symlink("nowhere", t_at("l")));
	CHECK_ERRNO(access(t_at("none"), F_OK), ENOENT);
	CHECK_ERRNO(access(t_at("l"), F_OK), ENOENT);
	CHECK_ERRNO(access(t_at("f/x"), F_OK), ENOTDIR);
	CHECK_ERRNO(access("", F_OK), ENOENT);
	CHECK_ERRNO(access(t_at("f"), 0x10), EINVAL);
	for (int i = 0; i < T_BAD_POINTERS; i++)
		CHECK_ERRNO(access(t_bad_pointer(i), F_OK), EFAULT);
}

static void at_descriptor(void)
{
	t_put(t_at("f"), "x");
	MUST(symlink("nowhere", t_at("l")));
	int dir = MUST(open(t_dir, O_RDONLY | O_DIRECTORY));

	CHECK_OK(faccessat(dir, "f", R_OK, 0));
	CHECK_OK(faccessat(dir, "f", R_OK, AT_EACCESS));
	CHECK_OK(faccessat(dir, ".", X_OK, 0));
	CHECK_ERRNO(faccessat(dir, "none", F_OK, 0), ENOENT);
	CHECK_ERRNO(faccessat(dir, "l", F_OK, 0), ENOENT);
	CHECK_OK(faccessat(dir, "l", F_OK, AT_SYMLINK_NOFOLLOW));
	CHECK_ERRNO(faccessat(-1, "f", F_OK, 0), EBADF);
	CHECK_OK(faccessat(-1, t_at("f"), F_OK, 0));
	CHECK_ERRNO(faccessat(dir, "f", F_OK, 0x40000000), EINVAL);
	CHECK_OK(close(dir));
}

static void effective(void)
{
	t_put(t_at("f"), "x");
	CHECK_OK(euidaccess(t_at("f"), R_OK));
	CHECK_OK(eaccess(t_at("f"), W_OK));
	CHECK_ERRNO(euidaccess(t_at("none"), R_OK), ENOENT);
}

static void from_the_cwd(void)
{
	t_put(t_at("f"), "x");
	MUST(chdir(t_dir));
	CHECK_OK(access("f", R_OK));
	CHECK_ERRNO(access("none", F_OK), ENOENT);
	CHECK_OK(faccessat(AT_FDCWD, "f", W_OK, 0));
}

T_MAIN(CASE(of_the_owner), CASE(errors), CASE(at_descriptor), CASE(effective),
       CASE(from_the_cwd))
