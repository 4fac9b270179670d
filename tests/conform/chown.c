/* chown, lchown, fchown, fchownat: root gives away, others may only stay. */
#include "t.h"

static void check_owner(const char *path, uid_t uid, gid_t gid)
{
	struct stat st;

	CHECK_OK(lstat(path, &st));
	CHECK_EQ(st.st_uid, uid);
	CHECK_EQ(st.st_gid, gid);
}

static void to_oneself(void)
{
	t_put(t_at("f"), "x");
	MUST(mkdir(t_at("d"), 0755));
	MUST(symlink("f", t_at("l")));
	int dir = MUST(open(t_dir, O_RDONLY | O_DIRECTORY));
	int fd = MUST(open(t_at("f"), O_RDONLY));
	uid_t uid = geteuid();
	gid_t gid = getegid();

	CHECK_OK(chown(t_at("f"), uid, gid));
	CHECK_OK(chown(t_at("f"), -1, -1));
	CHECK_OK(chown(t_at("f"), -1, gid));
	CHECK_OK(chown(t_at("d"), uid, -1));
	CHECK_OK(lchown(t_at("l"), uid, gid));
	CHECK_OK(fchown(fd, uid, gid));
	CHECK_OK(fchown(dir, -1, -1));
	CHECK_OK(fchownat(dir, "f", uid, gid, 0));
	CHECK_OK(fchownat(dir, "l", uid, gid, AT_SYMLINK_NOFOLLOW));
	CHECK_OK(fchownat(fd, "", uid, gid, AT_EMPTY_PATH));
	check_owner(t_at("f"), uid, gid);
	CHECK_OK(close(fd));
	CHECK_OK(close(dir));
}

static void to_others(void)
{
	t_put(t_at("f"), "x");
	MUST(symlink("f", t_at("l")));
	if (!t_root()) {
		CHECK_ERRNO(chown(t_at("f"), 0, -1), EPERM);
		CHECK_ERRNO(chown(t_at("f"), -1, 0), EPERM);
		CHECK_ERRNO(lchown(t_at("l"), 0, -1), EPERM);
		check_owner(t_at("f"), geteuid(), getegid());
		return;
	}
	int fd = MUST(open(t_at("f"), O_RDONLY));

	CHECK_OK(chown(t_at("f"), 1234, 4321));
	check_owner(t_at("f"), 1234, 4321);
	CHECK_OK(chown(t_at("f"), -1, 7));
	check_owner(t_at("f"), 1234, 7);
	CHECK_OK(chown(t_at("f"), 8, -1));
	check_owner(t_at("f"), 8, 7);
	CHECK_OK(fchown(fd, 100, 101));
	check_owner(t_at("f"), 100, 101);
	/* By a link: the file; lchown: the link. */
	CHECK_OK(chown(t_at("l"), 11, 12));
	check_owner(t_at("f"), 11, 12);
	check_owner(t_at("l"), 0, 0);
	CHECK_OK(lchown(t_at("l"), 21, 22));
	check_owner(t_at("l"), 21, 22);
	check_owner(t_at("f"), 11, 12);
	CHECK_OK(close(fd));
}

static void drops_set_id_bits(void)
{
	t_put(t_at("f"), "x");
	MUST(chmod(t_at("f"), 06755));
	CHECK_OK(chown(t_at("f"), geteuid(), getegid()));
	CHECK_EQ(t_mode(t_at("f")) & 07777, 0755);
}

static void errors(void)
{
	t_put(t_at("f"), "x");
	CHECK_ERRNO(chown(t_at("none"), -1, -1), ENOENT);
	CHECK_ERRNO(chown(t_at("f/x"), -1, -1), ENOTDIR);
	CHECK_ERRNO(fchown(-1, -1, -1), EBADF);
	CHECK_ERRNO(fchownat(-1, "f", -1, -1, 0), EBADF);
	CHECK_ERRNO(fchownat(AT_FDCWD, t_at("f"), -1, -1, 0x40000000), EINVAL);
	CHECK_ERRNO(chown(t_bad_pointer(2), -1, -1), EFAULT);
}

T_MAIN(CASE(to_oneself), CASE(to_others), CASE(drops_set_id_bits), CASE(errors))
