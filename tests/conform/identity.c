/* Each call that changes who we are is seen by the next permission check. */
#include <grp.h>
#include <sys/fsuid.h>
#include "t.h"

#define SOMEBODY 23456

static bool may_read(const char *name)
{
	char path[PATH_MAX];
	int fd;

	t_into(path, "%s", name);
	fd = open(path, O_RDONLY);
	if (fd < 0) {
		CHECK_EQ(errno, EACCES);
		return false;
	}
	CHECK_OK(close(fd));
	return true;
}

static void files(void)
{
	t_put(t_at("users"), "x");
	MUST(chmod(t_at("users"), 0400));
	t_put(t_at("groups"), "x");
	MUST(chown(t_at("groups"), 0, SOMEBODY));
	MUST(chmod(t_at("groups"), 0040));
}

static void effective(void *arg)
{
	(void)arg;
	CHECK_OK(seteuid(SOMEBODY));
	CHECK(!may_read("users"));
	CHECK_OK(seteuid(0));
	CHECK(may_read("users"));
	CHECK_OK(setreuid(-1, SOMEBODY));
	CHECK(!may_read("users"));
	CHECK_OK(setreuid(-1, 0));
	CHECK(may_read("users"));
	CHECK_OK(setuid(SOMEBODY));
	CHECK(!may_read("users"));
	CHECK_ERRNO(seteuid(0), EPERM);
}

static void groups(void *arg)
{
	(void)arg;
	CHECK_OK(setgroups(0, NULL));
	CHECK_OK(setgid(1));
	CHECK_OK(setreuid(-1, SOMEBODY));
	CHECK(!may_read("groups"));
	CHECK_OK(setreuid(-1, 0));
	CHECK_OK(setegid(SOMEBODY));
	CHECK_OK(seteuid(SOMEBODY));
	CHECK(may_read("groups"));
	CHECK_OK(seteuid(0));
	CHECK_OK(setregid(-1, 1));
	CHECK_OK(seteuid(SOMEBODY));
	CHECK(!may_read("groups"));
	CHECK_OK(seteuid(0));
	CHECK_OK(initgroups("no-such-user", SOMEBODY));
	CHECK_OK(seteuid(SOMEBODY));
	CHECK(may_read("groups"));
}

static void file_system(void *arg)
{
	(void)arg;
	CHECK_EQ(setfsuid(SOMEBODY), 0);
	CHECK(!may_read("users"));
	CHECK_EQ(setfsuid(0), SOMEBODY);
	CHECK(may_read("users"));
}

static void each_call(void)
{
	if (!t_root())
		SKIP_CASE("only root can become somebody else");
	files();
	CHECK_CHILD(effective, NULL);
	CHECK_CHILD(groups, NULL);
	CHECK_CHILD(file_system, NULL);
}

/* For somebody who is nobody else: the same again, and nothing more. */
static void no_more(void)
{
	uid_t uid = getuid();
	gid_t gid = getgid();

	if (t_root())
		SKIP_CASE("root may be anybody");
	CHECK_OK(setuid(uid));
	CHECK_OK(setgid(gid));
	CHECK_OK(seteuid(uid));
	CHECK_OK(setegid(gid));
	CHECK_OK(setreuid(uid, uid));
	CHECK_OK(setregid(gid, gid));
	CHECK_ERRNO(setuid(0), EPERM);
	CHECK_ERRNO(initgroups("root", gid), EPERM);
}

T_MAIN(CASE(each_call), CASE(no_more))
