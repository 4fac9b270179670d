/* Extended attributes, by path, by link and by descriptor. */
#include <sys/xattr.h>
#include "t.h"

static void roundtrip(void)
{
	char got[64];

	t_put(t_at("f"), "x");
	MUST(mkdir(t_at("d"), 0755));
	CHECK_OK(setxattr(t_at("f"), "user.one", "value", 5, 0));
	CHECK_EQ(getxattr(t_at("f"), "user.one", got, sizeof(got)), 5);
	CHECK_MEM(got, "value", 5);
	CHECK_EQ(getxattr(t_at("f"), "user.one", NULL, 0), 5);
	CHECK_OK(setxattr(t_at("f"), "user.one", "longer value", 12, 0));
	CHECK_EQ(getxattr(t_at("f"), "user.one", got, sizeof(got)), 12);
	CHECK_OK(setxattr(t_at("f"), "user.empty", "", 0, 0));
	CHECK_EQ(getxattr(t_at("f"), "user.empty", got, sizeof(got)), 0);
	CHECK_OK(setxattr(t_at("f"), "user.bin", "\0\1\0", 3, 0));
	CHECK_EQ(getxattr(t_at("f"), "user.bin", got, sizeof(got)), 3);
	CHECK_MEM(got, "\0\1\0", 3);
	CHECK_OK(setxattr(t_at("d"), "user.dir", "d", 1, 0));
	CHECK_EQ(getxattr(t_at("d"), "user.dir", got, sizeof(got)), 1);
	int fd = MUST(open(t_at("f"), O_RDONLY));

	CHECK_EQ(fgetxattr(fd, "user.one", got, sizeof(got)), 12);
	CHECK_OK(fsetxattr(fd, "user.fd", "fd", 2, 0));
	CHECK_EQ(getxattr(t_at("f"), "user.fd", got, sizeof(got)), 2);
	CHECK_OK(fremovexattr(fd, "user.fd"));
	CHECK_OK(close(fd));
	CHECK_OK(removexattr(t_at("f"), "user.one"));
	CHECK_ERRNO(getxattr(t_at("f"), "user.one", got, sizeof(got)), ENODATA);
	/* They travel with the file. */
	CHECK_OK(rename(t_at("f"), t_at("g")));
	CHECK_EQ(getxattr(t_at("g"), "user.bin", got, sizeof(got)), 3);
}

static void flags(void)
{
	char got[8];

	t_put(t_at("f"), "x");
	CHECK_ERRNO(setxattr(t_at("f"), "user.a", "1", 1, XATTR_REPLACE),
		    ENODATA);
	CHECK_OK(setxattr(t_at("f"), "user.a", "1", 1, XATTR_CREATE));
	CHECK_ERRNO(setxattr(t_at("f"), "user.a", "2", 1, XATTR_CREATE),
		    EEXIST);
	CHECK_EQ(getxattr(t_at("f"), "user.a", got, 8), 1);
	CHECK_EQ(got[0], '1');
	CHECK_OK(setxattr(t_at("f"), "user.a", "2", 1, XATTR_REPLACE));
	CHECK_EQ(getxattr(t_at("f"), "user.a", got, 8), 1);
	CHECK_EQ(got[0], '2');
	CHECK_ERRNO(setxattr(t_at("f"), "user.a", "2", 1, 0x40), EINVAL);
}

static bool listed(const char *list, ssize_t len, const char *name)
{
	for (ssize_t at = 0; at < len; at += strlen(list + at) + 1)
		if (strcmp(list + at, name) == 0)
			return true;
	return false;
}

static void listing(void)
{
	char list[512];

	t_put(t_at("f"), "x");
	ssize_t before = listxattr(t_at("f"), list, sizeof(list));

	CHECK(before >= 0);
	MUST(setxattr(t_at("f"), "user.first", "1", 1, 0));
	MUST(setxattr(t_at("f"), "user.second", "2", 1, 0));
	ssize_t len = listxattr(t_at("f"), list, sizeof(list));

	CHECK_EQ(len - before, sizeof("user.first") + sizeof("user.second"));
	CHECK(listed(list, len, "user.first"));
	CHECK(listed(list, len, "user.second"));
	CHECK_EQ(listxattr(t_at("f"), NULL, 0), len);
	CHECK_ERRNO(listxattr(t_at("f"), list, 3), ERANGE);
	int fd = MUST(open(t_at("f"), O_RDONLY));

	CHECK_EQ(flistxattr(fd, list, sizeof(list)), len);
	CHECK_OK(close(fd));
	CHECK_OK(removexattr(t_at("f"), "user.first"));
	CHECK_EQ(listxattr(t_at("f"), list, sizeof(list)),
		 before + (ssize_t)sizeof("user.second"));
}

static void errors(void)
{
	char got[4];
	char name[300] = "user.";

	t_put(t_at("f"), "x");
	MUST(setxattr(t_at("f"), "user.a", "longvalue", 9, 0));
	CHECK_ERRNO(getxattr(t_at("f"), "user.a", got, 4), ERANGE);
	CHECK_ERRNO(getxattr(t_at("f"), "user.none", got, 4), ENODATA);
	CHECK_ERRNO(removexattr(t_at("f"), "user.none"), ENODATA);
	CHECK_ERRNO(getxattr(t_at("none"), "user.a", got, 4), ENOENT);
	CHECK_ERRNO(setxattr(t_at("none"), "user.a", "1", 1, 0), ENOENT);
	CHECK_ERRNO(fgetxattr(-1, "user.a", got, 4), EBADF);
	CHECK_ERRNO(setxattr(t_at("f"), "nonsense", "1", 1, 0), EOPNOTSUPP);
	CHECK_ERRNO(setxattr(t_at("f"), "", "1", 1, 0), ERANGE);
	memset(name + 5, 'a', 260);
	CHECK_ERRNO(setxattr(t_at("f"), name, "1", 1, 0), ERANGE);
	static char big[1 << 20];

	CHECK_ERRNO(setxattr(t_at("f"), "user.a", big, sizeof(big), 0), E2BIG);
	CHECK_ERRNO(getxattr(t_at("f"), "user.a", t_bad_pointer(1), 100),
		    EFAULT);
	CHECK_ERRNO(getxattr(t_at("f"), t_bad_pointer(0), got, 4), EFAULT);
	if (!t_root()) {
		MUST(chmod(t_at("f"), 0));
		CHECK_ERRNO(getxattr(t_at("f"), "user.a", got, 4), EACCES);
		CHECK_ERRNO(setxattr(t_at("f"), "user.a", "1", 1, 0), EACCES);
	}
}

static void links(void)
{
	char got[8];

	t_put(t_at("f"), "x");
	MUST(symlink("f", t_at("l")));
	CHECK_OK(setxattr(t_at("l"), "user.via", "v", 1, 0));
	CHECK_EQ(getxattr(t_at("f"), "user.via", got, 8), 1);
	/* A link itself carries no user.* attributes. */
	CHECK_ERRNO2(lsetxattr(t_at("l"), "user.x", "v", 1, 0), EPERM,
		     EOPNOTSUPP);
	CHECK_ERRNO2(lgetxattr(t_at("l"), "user.via", got, 8), ENODATA, EPERM);
	CHECK_OK(llistxattr(t_at("l"), NULL, 0));
}

static void many(void)
{
	char name[32], value[128], got[128];

	t_put(t_at("f"), "x");
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "user.k%d", i);
		memset(value, 'a' + i, sizeof(value));
		CHECK_OK(setxattr(t_at("f"), name, value, 100, 0));
	}
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "user.k%d", i);
		memset(value, 'a' + i, sizeof(value));
		CHECK_EQ(getxattr(t_at("f"), name, got, 128), 100);
		CHECK_MEM(got, value, 100);
	}
}

static void child_renames(void *arg)
{
	(void)arg;
	MUST(rename(t_at("f"), t_at("d/g")));
}

/* A descriptor's attributes stay with the file when another process moves it. */
static void moved_by_another(void)
{
	char got[64];

	t_put(t_at("f"), "x");
	MUST(mkdir(t_at("d"), 0755));
	int fd = MUST(open(t_at("f"), O_RDWR));

	MUST(fsetxattr(fd, "user.a", "1", 1, 0));
	CHECK_CHILD(child_renames, NULL);
	CHECK_EQ(flistxattr(fd, got, sizeof(got)), sizeof("user.a"));
	CHECK_EQ(fgetxattr(fd, "user.a", got, sizeof(got)), 1);
	CHECK_OK(fsetxattr(fd, "user.b", "2", 1, XATTR_CREATE));
	CHECK_EQ(getxattr(t_at("d/g"), "user.b", got, sizeof(got)), 1);
	CHECK_OK(close(fd));
}

static void child_unlinks(void *arg)
{
	(void)arg;
	MUST(unlink(t_at("f")));
}

static void unlinked_by_another(void)
{
	char got[64];

	t_put(t_at("f"), "x");
	int fd = MUST(open(t_at("f"), O_RDWR));

	MUST(fsetxattr(fd, "user.a", "1", 1, 0));
	CHECK_CHILD(child_unlinks, NULL);
	CHECK_EQ(flistxattr(fd, got, sizeof(got)), sizeof("user.a"));
	CHECK_EQ(fgetxattr(fd, "user.a", got, sizeof(got)), 1);
	CHECK_OK(fsetxattr(fd, "user.b", "2", 1, XATTR_CREATE));
	CHECK_EQ(fgetxattr(fd, "user.b", got, sizeof(got)), 1);
	CHECK_OK(close(fd));
}

static void changes_a_moved_file(void *arg)
{
	CHECK_OK(fchmod(*(int *)arg, 0600));
}

static void mode_of_a_moved_file(void)
{
	t_put(t_at("f"), "x");
	MUST(mkdir(t_at("d"), 0755));
	int fd = MUST(open(t_at("f"), O_RDWR));

	CHECK_CHILD(child_renames, NULL);
	CHECK_CHILD(changes_a_moved_file, &fd);
	CHECK_EQ(t_mode(t_at("d/g")) & 0777, 0600);
	CHECK_OK(close(fd));
}

T_MAIN(CASE(roundtrip), CASE(flags), CASE(listing), CASE(errors), CASE(links),
       CASE(many), CASE(moved_by_another), CASE(unlinked_by_another),
       CASE(mode_of_a_moved_file))
