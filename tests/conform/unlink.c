/* unlink(2), unlinkat(2), remove(3); an open file outlives its name. */
#include "t.h"

static void removes_the_name(void)
{
	t_put(t_at("f"), "x");
	CHECK_OK(unlink(t_at("f")));
	CHECK(!t_exists(t_at("f")));
	CHECK_ERRNO(unlink(t_at("f")), ENOENT);
	t_put(t_at("f"), "x");
	int dir = MUST(open(t_dir, O_RDONLY | O_DIRECTORY));

	CHECK_OK(unlinkat(dir, "f", 0));
	CHECK_ERRNO(unlinkat(dir, "f", 0), ENOENT);
	CHECK_OK(close(dir));
	t_put(t_at("f"), "x");
	CHECK_OK(remove(t_at("f")));
	MUST(mkdir(t_at("d"), 0755));
	CHECK_OK(remove(t_at("d")));
	MUST(chdir(t_dir));
	t_put("f", "x");
	CHECK_OK(unlink("f"));
	CHECK(!t_exists(t_at("f")));
}

static void of_a_link(void)
{
	t_put(t_at("f"), "x");
	MUST(mkdir(t_at("d"), 0755));
	MUST(symlink("f", t_at("l")));
	MUST(symlink("d", t_at("ld")));
	CHECK_OK(unlink(t_at("l")));
	CHECK_OK(unlink(t_at("ld")));
	CHECK(t_exists(t_at("f")));
	CHECK(t_exists(t_at("d")));
}

static void errors(void)
{
	MUST(mkdir(t_at("d"), 0755));
	t_put(t_at("f"), "x");
	/* Linux says EISDIR where POSIX would say EPERM. */
	CHECK_ERRNO(unlink(t_at("d")), EISDIR);
	CHECK_ERRNO2(unlink(t_at("d/")), EISDIR, ENOTDIR);
	CHECK_ERRNO(unlink(t_at("f/")), ENOTDIR);
	CHECK_ERRNO(unlink(t_at("f/x")), ENOTDIR);
	CHECK_ERRNO(unlink(t_at("none/x")), ENOENT);
	CHECK_ERRNO(unlink(""), ENOENT);
	CHECK_ERRNO(unlinkat(-1, "f", 0), EBADF);
	CHECK_ERRNO(unlinkat(AT_FDCWD, t_at("f"), 0x40000000), EINVAL);
	for (int i = 0; i < T_BAD_POINTERS; i++)
		CHECK_ERRNO(unlink(t_bad_pointer(i)), EFAULT);
	CHECK(t_exists(t_at("d")));
	CHECK(t_exists(t_at("f")));
}

static void open_file_lives_on(void)
{
	struct stat st;
	char got[16];
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	CHECK_EQ(write(fd, "before", 6), 6);
	MUST(stat(t_at("f"), &st));
	ino_t ino = st.st_ino;

	CHECK_OK(unlink(t_at("f")));
	CHECK_ERRNO(stat(t_at("f"), &st), ENOENT);
	CHECK_EQ(pread(fd, got, 16, 0), 6);
	CHECK_MEM(got, "before", 6);
	CHECK_EQ(write(fd, " after", 6), 6);
	CHECK_EQ(pread(fd, got, 16, 0), 12);
	CHECK_MEM(got, "before after", 12);
	CHECK_OK(fstat(fd, &st));
	CHECK_EQ(st.st_size, 12);
	CHECK_EQ(st.st_ino, ino);
	CHECK_EQ(st.st_nlink, 0);
	CHECK_OK(ftruncate(fd, 3));
	CHECK_OK(fstat(fd, &st));
	CHECK_EQ(st.st_size, 3);
	/* A new file of the same name is another one. */
	t_put(t_at("f"), "new");
	CHECK_EQ(pread(fd, got, 16, 0), 3);
	CHECK_MEM(got, "bef", 3);
	CHECK_OK(close(fd));
	CHECK_FILE(t_at("f"), "new");
}

static void two_openers(void)
{
	char got[8];

	t_put(t_at("f"), "shared");
	int a = MUST(open(t_at("f"), O_RDWR));
	int b = MUST(open(t_at("f"), O_RDONLY));

	CHECK_OK(unlink(t_at("f")));
	CHECK_EQ(pwrite(a, "S", 1, 0), 1);
	CHECK_OK(close(a));
	CHECK_EQ(read(b, got, 8), 6);
	CHECK_MEM(got, "Shared", 6);
	CHECK_OK(close(b));
}

static void directory_can_go_after(void)
{
	MUST(mkdir(t_at("d"), 0755));
	int fd = MUST(open(t_at("d/f"), O_RDWR | O_CREAT, 0644));

	CHECK_EQ(write(fd, "data", 4), 4);
	CHECK_OK(unlink(t_at("d/f")));
	CHECK_OK(rmdir(t_at("d")));
	char got[4];

	CHECK_EQ(pread(fd, got, 4, 0), 4);
	CHECK_MEM(got, "data", 4);
	CHECK_OK(close(fd));
}

static void other_process(void *arg)
{
	(void)arg;
	CHECK_OK(unlink(t_at("f")));
}

static void removed_by_a_child(void)
{
	char got[8];

	t_put(t_at("f"), "parent");
	int fd = MUST(open(t_at("f"), O_RDONLY));

	CHECK_CHILD(other_process, NULL);
	CHECK(!t_exists(t_at("f")));
	CHECK_EQ(read(fd, got, 8), 6);
	CHECK_MEM(got, "parent", 6);
	CHECK_OK(close(fd));
}

T_MAIN(CASE(removes_the_name), CASE(of_a_link), CASE(errors),
       CASE(open_file_lives_on), CASE(two_openers),
       CASE(directory_can_go_after), CASE(removed_by_a_child))
