/* Links on the way of a path: relative, absolute, "..", loops, trailing slash. */
#include "t.h"

static void on_the_way(void)
{
	MUST(mkdir(t_at("a"), 0755));
	MUST(mkdir(t_at("a/b"), 0755));
	t_put(t_at("a/b/f"), "deep");
	t_put(t_at("top"), "top");
	MUST(symlink("a/b", t_at("rel")));
	MUST(symlink(t_at("a/b"), t_at("abs")));
	MUST(symlink("../b", t_at("a/b/up")));
	MUST(symlink("rel/f", t_at("chain")));
	MUST(symlink("/", t_at("root")));
	CHECK_FILE(t_at("rel/f"), "deep");
	CHECK_FILE(t_at("abs/f"), "deep");
	CHECK_FILE(t_at("rel/up/up/f"), "deep");
	CHECK_FILE(t_at("chain"), "deep");
	CHECK_FILE(t_at("root%s", t_at("top")), "top");
	/* ".." after a link is the parent of what it leads to. */
	CHECK_ERRNO(access(t_at("rel/../top"), F_OK), ENOENT);
	CHECK_FILE(t_at("rel/../../top"), "top");
	CHECK_FILE(t_at("abs/../b/f"), "deep");
	t_put(t_at("rel/new"), "new");
	CHECK_FILE(t_at("a/b/new"), "new");
	CHECK_OK(mkdir(t_at("abs/dir"), 0755));
	CHECK(t_exists(t_at("a/b/dir")));
	CHECK_OK(rename(t_at("rel/new"), t_at("abs/../new")));
	CHECK_FILE(t_at("a/new"), "new");
	CHECK_OK(unlink(t_at("rel/f")));
	CHECK(!t_exists(t_at("a/b/f")));
}

static void loops(void)
{
	struct stat st;

	MUST(symlink("self", t_at("self")));
	MUST(symlink("pong", t_at("ping")));
	MUST(symlink("ping", t_at("pong")));
	CHECK_ERRNO(stat(t_at("self"), &st), ELOOP);
	CHECK_ERRNO(open(t_at("ping"), O_RDONLY), ELOOP);
	CHECK_ERRNO(open(t_at("ping/x"), O_RDONLY), ELOOP);
	CHECK_ERRNO(open(t_at("ping"), O_WRONLY | O_CREAT, 0644), ELOOP);
	CHECK_ERRNO(mkdir(t_at("self/x"), 0755), ELOOP);
	CHECK_OK(lstat(t_at("self"), &st));
	CHECK_OK(unlink(t_at("self")));
}

static void forty(void)
{
	t_put(t_at("l0"), "end");
	for (int i = 1; i <= 41; i++) {
		char text[16];

		snprintf(text, sizeof(text), "l%d", i - 1);
		MUST(symlink(text, t_at("l%d", i)));
	}
	CHECK_FILE(t_at("l40"), "end");
	CHECK_ERRNO(open(t_at("l41"), O_RDONLY), ELOOP);
}

static void trailing_slash(void)
{
	struct stat st;

	MUST(mkdir(t_at("d"), 0755));
	t_put(t_at("f"), "x");
	MUST(symlink("d", t_at("ld")));
	MUST(symlink("f", t_at("lf")));
	MUST(symlink("nowhere", t_at("dangling")));
	CHECK_OK(lstat(t_at("ld"), &st));
	CHECK(S_ISLNK(st.st_mode));
	/* A slash behind a link follows it, for lstat too. */
	CHECK_OK(lstat(t_at("ld/"), &st));
	CHECK(S_ISDIR(st.st_mode));
	CHECK_OK(lstat(t_at("ld/."), &st));
	CHECK(S_ISDIR(st.st_mode));
	CHECK_ERRNO(lstat(t_at("lf/"), &st), ENOTDIR);
	CHECK_ERRNO(lstat(t_at("dangling/"), &st), ENOENT);
	CHECK_ERRNO(rmdir(t_at("ld/")), ENOTDIR);
	CHECK_ERRNO(unlink(t_at("ld/")), ENOTDIR);
	CHECK_ERRNO(mkdir(t_at("dangling/"), 0755), EEXIST);
}

static void through_a_file(void)
{
	struct stat st;

	t_put(t_at("f"), "x");
	MUST(symlink("f", t_at("l")));
	CHECK_ERRNO(stat(t_at("l/x"), &st), ENOTDIR);
	CHECK_ERRNO(stat(t_at("l/.."), &st), ENOTDIR);
	CHECK_ERRNO(stat(t_at("f/../f"), &st), ENOTDIR);
}

static void out_and_back(void)
{
	char path[PATH_MAX];

	/* A link out of the directory into the kernel's world, and ".." up. */
	MUST(symlink("/dev/null", t_at("null")));
	MUST(symlink("/proc/self", t_at("self")));
	int fd = MUST(open(t_at("null"), O_RDWR));

	CHECK_EQ(write(fd, "x", 1), 1);
	CHECK_OK(close(fd));
	CHECK_OK(access(t_at("self/status"), R_OK));
	CHECK_OK(access(t_at("../../../../../../../../../dev/null"), F_OK));
	t_put(t_at("f"), "back");
	snprintf(path, sizeof(path), "/proc/self/root%s", t_at("f"));
	if (!t_mount()) /* a kernel link into a mount the kernel cannot see */
		CHECK_FILE(path, "back");
}

T_MAIN(CASE(on_the_way), CASE(loops), CASE(forty), CASE(trailing_slash),
       CASE(through_a_file), CASE(out_and_back))
