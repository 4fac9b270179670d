/* rename(2), renameat(2). */
#include "t.h"

static void moves(void)
{
	t_put(t_at("a"), "A");
	CHECK_OK(rename(t_at("a"), t_at("b")));
	CHECK(!t_exists(t_at("a")));
	CHECK_FILE(t_at("b"), "A");
	MUST(mkdir(t_at("d"), 0755));
	CHECK_OK(rename(t_at("b"), t_at("d/c")));
	CHECK_FILE(t_at("d/c"), "A");
	CHECK_OK(rename(t_at("d"), t_at("e")));
	CHECK_FILE(t_at("e/c"), "A");
	int dir = MUST(open(t_at("e"), O_RDONLY | O_DIRECTORY));

	CHECK_OK(renameat(dir, "c", AT_FDCWD, t_at("top")));
	CHECK_FILE(t_at("top"), "A");
	CHECK_OK(renameat(AT_FDCWD, t_at("top"), dir, "../again"));
	CHECK_FILE(t_at("again"), "A");
	MUST(chdir(t_dir));
	CHECK_OK(rename("again", "e/rel"));
	CHECK_OK(renameat(dir, "rel", dir, "rel2"));
	CHECK_FILE(t_at("e/rel2"), "A");
	CHECK_OK(close(dir));
}

static void replaces_a_file(void)
{
	struct stat a, b;

	t_put(t_at("a"), "AAA");
	t_put(t_at("b"), "B");
	MUST(stat(t_at("a"), &a));
	CHECK_OK(rename(t_at("a"), t_at("b")));
	CHECK_FILE(t_at("b"), "AAA");
	MUST(stat(t_at("b"), &b));
	CHECK_EQ(b.st_ino, a.st_ino);
}

static void onto_itself(void)
{
	t_put(t_at("a"), "kept");
	MUST(mkdir(t_at("d"), 0755));
	t_put(t_at("d/f"), "kept too");
	CHECK_OK(rename(t_at("a"), t_at("a")));
	CHECK_FILE(t_at("a"), "kept");
	CHECK_OK(rename(t_at("d"), t_at("d")));
	CHECK_FILE(t_at("d/f"), "kept too");
	CHECK_OK(rename(t_at("a"), t_at("d/../a")));
	CHECK_FILE(t_at("a"), "kept");
	MUST(symlink("d", t_at("l")));
	CHECK_OK(rename(t_at("d/f"), t_at("l/f")));
	CHECK_FILE(t_at("d/f"), "kept too");
}

static void replaces_an_empty_directory(void)
{
	MUST(mkdir(t_at("a"), 0755));
	t_put(t_at("a/f"), "x");
	MUST(mkdir(t_at("b"), 0755));
	CHECK_OK(rename(t_at("a"), t_at("b")));
	CHECK_FILE(t_at("b/f"), "x");
	CHECK(!t_exists(t_at("a")));
	MUST(mkdir(t_at("c"), 0755));
	CHECK_ERRNO2(rename(t_at("c"), t_at("b")), ENOTEMPTY, EEXIST);
	CHECK(t_exists(t_at("c")));
	CHECK_FILE(t_at("b/f"), "x");
}

static void into_its_own_subtree(void)
{
	MUST(mkdir(t_at("a"), 0755));
	MUST(mkdir(t_at("a/b"), 0755));
	MUST(mkdir(t_at("a/b/c"), 0755));
	CHECK_ERRNO(rename(t_at("a"), t_at("a/x")), EINVAL);
	CHECK_ERRNO(rename(t_at("a"), t_at("a/b/x")), EINVAL);
	CHECK_ERRNO(rename(t_at("a"), t_at("a/b/c")), EINVAL);
	/* Linux: an ancestor as target is not empty. */
	CHECK_ERRNO(rename(t_at("a/b/c"), t_at("a")), ENOTEMPTY);
	MUST(symlink("a/b", t_at("l")));
	CHECK_ERRNO(rename(t_at("a"), t_at("l/x")), EINVAL);
	CHECK(t_exists(t_at("a/b/c")));
	/* A name that only begins alike is another place. */
	CHECK_OK(mkdir(t_at("ab"), 0755));
	CHECK_OK(rename(t_at("a"), t_at("ab/a")));
	CHECK(t_exists(t_at("ab/a/b/c")));
}

static void mixed_types(void)
{
	t_put(t_at("f"), "x");
	MUST(mkdir(t_at("d"), 0755));
	MUST(symlink("f", t_at("l")));
	CHECK_ERRNO(rename(t_at("f"), t_at("d")), EISDIR);
	CHECK_ERRNO(rename(t_at("d"), t_at("f")), ENOTDIR);
	CHECK_ERRNO(rename(t_at("d"), t_at("l")), ENOTDIR);
	CHECK_ERRNO(rename(t_at("l"), t_at("d")), EISDIR);
	CHECK_FILE(t_at("f"), "x");
	CHECK(S_ISDIR(t_mode(t_at("d"))));
	/* A link is moved and replaced itself. */
	CHECK_OK(rename(t_at("l"), t_at("m")));
	CHECK(S_ISLNK(t_mode(t_at("m"))));
	CHECK_OK(rename(t_at("f"), t_at("m")));
	CHECK(S_ISREG(t_mode(t_at("m"))));
}

static void errors(void)
{
	t_put(t_at("f"), "x");
	MUST(mkdir(t_at("d"), 0755));
	CHECK_ERRNO(rename(t_at("none"), t_at("x")), ENOENT);
	CHECK_ERRNO(rename(t_at("none"), t_at("none")), ENOENT);
	CHECK_ERRNO(rename(t_at("f"), t_at("none/x")), ENOENT);
	CHECK_ERRNO(rename(t_at("f"), t_at("f/x")), ENOTDIR);
	CHECK_ERRNO(rename(t_at("f/x"), t_at("y")), ENOTDIR);
	CHECK_ERRNO(rename(t_at("f"), t_at("y/")), ENOTDIR);
	CHECK_ERRNO(rename(t_at("f/"), t_at("y")), ENOTDIR);
	CHECK_OK(rename(t_at("d"), t_at("e/")));
	CHECK_OK(rename(t_at("e/"), t_at("d")));
	CHECK_ERRNO(rename("", t_at("x")), ENOENT);
	CHECK_ERRNO(rename(t_at("f"), ""), ENOENT);
	CHECK_ERRNO2(rename(t_at("d/."), t_at("x")), EBUSY, EINVAL);
	CHECK_ERRNO2(rename(t_at("d"), t_at("d/..")), EBUSY, ENOTEMPTY);
	CHECK_ERRNO(renameat(-1, "f", -1, "g"), EBADF);
	for (int i = 0; i < T_BAD_POINTERS; i++) {
		CHECK_ERRNO(rename(t_bad_pointer(i), t_at("x")), EFAULT);
		CHECK_ERRNO(rename(t_at("f"), t_bad_pointer(i)), EFAULT);
	}
	CHECK_FILE(t_at("f"), "x");
}

static void other_file_system(void)
{
	char out[64];

	/* Between two file systems: EXDEV. /dev/shm is one nearly always. */
	snprintf(out, sizeof(out), "/dev/shm/t_rename_%d", getpid());
	int fd = open(out, O_RDWR | O_CREAT | O_EXCL, 0644);

	if (fd < 0)
		SKIP_CASE("no /dev/shm");
	struct stat here, there;

	MUST(close(fd));
	MUST(stat(t_dir, &here));
	MUST(stat(out, &there));
	t_put(t_at("f"), "x");
	if (here.st_dev != there.st_dev) {
		CHECK_ERRNO(rename(out, t_at("g")), EXDEV);
		CHECK_ERRNO(rename(t_at("f"), out), EXDEV);
		CHECK_ERRNO(link(out, t_at("g")), EXDEV);
	}
	CHECK_OK(unlink(out));
	CHECK_FILE(t_at("f"), "x");
}

T_MAIN(CASE(moves), CASE(replaces_a_file), CASE(onto_itself),
       CASE(replaces_an_empty_directory), CASE(into_its_own_subtree),
       CASE(mixed_types), CASE(errors), CASE(other_file_system))
