/* Who may do what: owner, search permission, sticky, as root and as a user. */
#include <grp.h>
#include "t.h"

/* As the owner who took the rights away from himself. */
static void own_closed_files(void)
{
	if (t_root())
		SKIP_CASE("root may do everything");
	t_put(t_at("f"), "x");
	MUST(mkdir(t_at("d"), 0755));
	t_put(t_at("d/f"), "y");
	MUST(chmod(t_at("f"), 0));
	CHECK_ERRNO(open(t_at("f"), O_RDONLY), EACCES);
	CHECK_ERRNO(open(t_at("f"), O_WRONLY), EACCES);
	CHECK_ERRNO(truncate(t_at("f"), 0), EACCES);
	struct stat st;

	CHECK_OK(stat(t_at("f"), &st));
	CHECK_OK(chmod(t_at("f"), 0400));
	CHECK_OK(close(open(t_at("f"), O_RDONLY)));
	CHECK_ERRNO(open(t_at("f"), O_RDWR), EACCES);
	CHECK_ERRNO(open(t_at("f"), O_RDONLY | O_TRUNC), EACCES);
	/* No search: nothing below can be named. */
	MUST(chmod(t_at("d"), 0600));
	CHECK_ERRNO(stat(t_at("d/f"), &st), EACCES);
	CHECK_ERRNO(open(t_at("d/f"), O_RDONLY), EACCES);
	CHECK_ERRNO(stat(t_at("d/none"), &st), EACCES);
	CHECK_ERRNO(open(t_at("d/new"), O_WRONLY | O_CREAT, 0644), EACCES);
	CHECK_ERRNO(unlink(t_at("d/f")), EACCES);
	CHECK_ERRNO(chdir(t_at("d")), EACCES);
	CHECK_ERRNO(stat(t_at("d/.."), &st), EACCES);
	CHECK_OK(close(open(t_at("d"), O_RDONLY)));
	/* No write: the list of names cannot change. */
	MUST(chmod(t_at("d"), 0500));
	CHECK_OK(stat(t_at("d/f"), &st));
	CHECK_ERRNO(open(t_at("d/new"), O_WRONLY | O_CREAT, 0644), EACCES);
	CHECK_ERRNO(mkdir(t_at("d/new"), 0755), EACCES);
	CHECK_ERRNO(symlink("x", t_at("d/new")), EACCES);
	CHECK_ERRNO(unlink(t_at("d/f")), EACCES);
	CHECK_ERRNO(rename(t_at("d/f"), t_at("g")), EACCES);
	CHECK_ERRNO(rename(t_at("f"), t_at("d/g")), EACCES);
	CHECK_OK(close(open(t_at("d/f"), O_WRONLY)));
	/* No read: no listing, but names that are known. */
	MUST(chmod(t_at("d"), 0300));
	CHECK_ERRNO(open(t_at("d"), O_RDONLY), EACCES);
	CHECK_OK(stat(t_at("d/f"), &st));
	CHECK_OK(unlink(t_at("d/f")));
	MUST(chmod(t_at("d"), 0700));
}

static void become(void *arg)
{
	char path[PATH_MAX];
	uid_t uid = 23456;
	struct stat st;

	(void)arg;
	MUST(setgroups(0, NULL));
	MUST(setresgid(uid, uid, uid));
	MUST(setresuid(uid, uid, uid));
	/* A stranger. */
	t_into(path, "private");
	CHECK_ERRNO(open(path, O_RDONLY), EACCES);
	CHECK_OK(stat(path, &st));
	t_into(path, "public");
	CHECK_OK(close(open(path, O_RDONLY)));
	CHECK_ERRNO(open(path, O_WRONLY), EACCES);
	CHECK_ERRNO(chmod(path, 0777), EPERM);
	CHECK_ERRNO(chown(path, uid, uid), EPERM);
	CHECK_ERRNO(unlink(path), EACCES);
	CHECK_ERRNO(utimensat(AT_FDCWD, path,
			      (struct timespec[2]){{1, 1}, {1, 1}}, 0),
		    EPERM);
	t_into(path, "everybody");
	CHECK_OK(close(open(path, O_RDWR)));
	CHECK_OK(utimensat(AT_FDCWD, path, NULL, 0));
	t_into(path, "closed/f");
	CHECK_ERRNO(stat(path, &st), EACCES);
	/* In a sticky directory one's own names only. */
	t_into(path, "sticky/of-root");
	CHECK_ERRNO(unlink(path), EPERM);
	char mine[PATH_MAX];

	t_into(mine, "sticky/mine");
	t_put(mine, "x");
	CHECK_OK(stat(mine, &st));
	CHECK_EQ(st.st_uid, uid);
	CHECK_EQ(st.st_gid, uid);
	CHECK_ERRNO(rename(mine, path), EPERM);
	CHECK_OK(unlink(mine));
	t_into(path, "group");
	CHECK_ERRNO(open(path, O_WRONLY), EACCES);
}

static void become_a_member(void *arg)
{
	gid_t group = 34567;
	char path[PATH_MAX];

	(void)arg;
	MUST(setgroups(1, &group));
	MUST(setresgid(23456, 23456, 23456));
	MUST(setresuid(23456, 23456, 23456));
	t_into(path, "group");
	CHECK_OK(close(open(path, O_RDWR)));
	t_into(path, "not-for-group");
	CHECK_ERRNO(open(path, O_RDONLY), EACCES);
}

static void strangers(void)
{
	if (!t_root())
		SKIP_CASE("only root can become somebody else");
	t_put(t_at("private"), "x");
	MUST(chmod(t_at("private"), 0600));
	t_put(t_at("public"), "x");
	t_put(t_at("everybody"), "x");
	MUST(chmod(t_at("everybody"), 0666));
	MUST(mkdir(t_at("closed"), 0700));
	t_put(t_at("closed/f"), "x");
	umask(0);
	MUST(mkdir(t_at("sticky"), 01777));
	umask(022);
	t_put(t_at("sticky/of-root"), "x");
	MUST(chmod(t_at("sticky/of-root"), 0666));
	t_put(t_at("group"), "x");
	MUST(chown(t_at("group"), 0, 34567));
	MUST(chmod(t_at("group"), 0660));
	t_put(t_at("not-for-group"), "x");
	MUST(chown(t_at("not-for-group"), 0, 34567));
	MUST(chmod(t_at("not-for-group"), 0604));
	CHECK_CHILD(become, NULL);
	CHECK_CHILD(become_a_member, NULL);
}

static void opened_before(void *arg)
{
	int fd = *(int *)arg;
	char c;

	MUST(setresgid(23456, 23456, 23456));
	MUST(setresuid(23456, 23456, 23456));
	/* An open descriptor keeps its rights. */
	CHECK_EQ(pread(fd, &c, 1, 0), 1);
	CHECK_EQ(pwrite(fd, "y", 1, 0), 1);
	CHECK_ERRNO(fchmod(fd, 0777), EPERM);
	CHECK_ERRNO(fchown(fd, 23456, -1), EPERM);
}

static void descriptors_keep_rights(void)
{
	if (!t_root())
		SKIP_CASE("only root can become somebody else");
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0600));

	CHECK_EQ(write(fd, "x", 1), 1);
	CHECK_CHILD(opened_before, &fd);
	CHECK_FILE(t_at("f"), "y");
	CHECK_OK(close(fd));
}

static void set_group_directory(void)
{
	struct stat st;

	if (!t_root())
		SKIP_CASE("only root can give a group away");
	MUST(mkdir(t_at("d"), 0755));
	MUST(chown(t_at("d"), 0, 34567));
	MUST(chmod(t_at("d"), 02775));
	t_put(t_at("d/f"), "x");
	MUST(stat(t_at("d/f"), &st));
	CHECK_EQ(st.st_gid, 34567);
	MUST(mkdir(t_at("d/e"), 0755));
	MUST(stat(t_at("d/e"), &st));
	CHECK_EQ(st.st_gid, 34567);
	CHECK_EQ(st.st_mode & 07777, 02755);
}

static void root_may(void)
{
	if (!t_root())
		SKIP_CASE("for root");
	t_put(t_at("f"), "x");
	MUST(chmod(t_at("f"), 0));
	CHECK_OK(close(open(t_at("f"), O_RDWR)));
	MUST(mkdir(t_at("d"), 0));
	t_put(t_at("d/f"), "x");
	CHECK_OK(access(t_at("d/f"), R_OK | W_OK));
	CHECK_ERRNO(access(t_at("f"), X_OK), EACCES);
	CHECK_OK(access(t_at("d"), X_OK));
}

T_MAIN(CASE(own_closed_files), CASE(strangers), CASE(descriptors_keep_rights),
       CASE(set_group_directory), CASE(root_may))
