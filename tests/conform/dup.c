/* dup, dup2, dup3: one description, several numbers. */
#include "t.h"

static void share_offset_and_flags(void)
{
	char got[4];

	t_put(t_at("f"), "0123456789");
	int a = MUST(open(t_at("f"), O_RDWR)), b = MUST(dup(a));

	CHECK_EQ(read(a, got, 3), 3);
	CHECK_EQ(lseek(b, 0, SEEK_CUR), 3);
	CHECK_EQ(read(b, got, 2), 2);
	CHECK_MEM(got, "34", 2);
	CHECK_EQ(lseek(a, 0, SEEK_CUR), 5);
	CHECK_OK(fcntl(a, F_SETFL, O_APPEND));
	CHECK(fcntl(b, F_GETFL) & O_APPEND);
	CHECK_OK(fcntl(b, F_SETFL, 0));
	CHECK(!(fcntl(a, F_GETFL) & O_APPEND));
	CHECK_OK(fcntl(a, F_SETFD, FD_CLOEXEC));
	CHECK_EQ(fcntl(b, F_GETFD), 0);
	CHECK_OK(close(a));
	CHECK_EQ(write(b, "x", 1), 1);
	CHECK_FILE(t_at("f"), "01234x6789");
	CHECK_OK(close(b));
}

static void not_of_the_same_open(void)
{
	char got[4];

	t_put(t_at("f"), "0123456789");
	int a = MUST(open(t_at("f"), O_RDONLY));
	int b = MUST(open(t_at("f"), O_RDONLY));

	CHECK_EQ(read(a, got, 4), 4);
	CHECK_EQ(lseek(b, 0, SEEK_CUR), 0);
	CHECK_OK(close(a));
	CHECK_OK(close(b));
}

static void onto_a_number(void)
{
	t_put(t_at("f"), "f");
	t_put(t_at("g"), "g");
	int f = MUST(open(t_at("f"), O_RDWR)),
	    g = MUST(open(t_at("g"), O_RDWR));
	char c;

	/* g is closed on the way. */
	CHECK_EQ(dup2(f, g), g);
	CHECK_EQ(pread(g, &c, 1, 0), 1);
	CHECK_EQ(c, 'f');
	CHECK_EQ(dup2(f, f), f);
	CHECK_EQ(dup2(f, 100), 100);
	CHECK_EQ(pread(100, &c, 1, 0), 1);
	CHECK_EQ(dup2(f, 100), 100);
	CHECK_OK(close(100));
	CHECK_ERRNO(close(100), EBADF);
	CHECK_ERRNO(dup2(100, f), EBADF);
	CHECK_EQ(pread(f, &c, 1, 0), 1);
	CHECK_OK(close(f));
	CHECK_EQ(pread(g, &c, 1, 0), 1);
	CHECK_OK(close(g));
}

static void kernel_and_ours(void)
{
	int pair[2];
	char c;

	t_put(t_at("f"), "f");
	int f = MUST(open(t_at("f"), O_RDWR));

	MUST(pipe(pair));
	MUST(write(pair[1], "pp", 2));
	/* A pipe onto the file's number, the file onto the pipe's. */
	int keep = MUST(dup(f));

	CHECK_EQ(dup2(pair[0], f), f);
	CHECK_EQ(read(f, &c, 1), 1);
	CHECK_EQ(c, 'p');
	CHECK_EQ(dup2(keep, pair[0]), pair[0]);
	CHECK_EQ(read(pair[0], &c, 1), 1);
	CHECK_EQ(c, 'f');
	CHECK_EQ(read(f, &c, 1), 1);
	CHECK_EQ(c, 'p');
	CHECK_OK(close(f));
	CHECK_OK(close(keep));
	CHECK_OK(close(pair[0]));
	CHECK_OK(close(pair[1]));
}

static void dup3_flags(void)
{
	int f = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	CHECK_EQ(dup3(f, 50, O_CLOEXEC), 50);
	CHECK_EQ(fcntl(50, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(dup3(f, 50, 0), 50);
	CHECK_EQ(fcntl(50, F_GETFD), 0);
	CHECK_EQ(dup2(f, 50), 50);
	CHECK_ERRNO(dup3(f, f, 0), EINVAL);
	CHECK_ERRNO(dup3(f, 51, 0x40000000), EINVAL);
	CHECK_ERRNO(dup3(-1, 51, 0), EBADF);
	CHECK_OK(close(50));
	CHECK_OK(close(f));
}

static void many_aliases(void)
{
	enum { COUNT = 300 };
	int fds[COUNT];
	char c;

	fds[0] = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));
	CHECK_EQ(write(fds[0], "0123456789", 10), 10);
	CHECK_EQ(lseek(fds[0], 0, SEEK_SET), 0);
	for (int i = 1; i < COUNT; i++)
		fds[i] = MUST(dup(fds[i / 2]));
	for (int i = 0; i < 10; i++) {
		CHECK_EQ(read(fds[i * 29], &c, 1), 1);
		CHECK_EQ(c, '0' + i);
	}
	for (int i = 0; i < COUNT; i++)
		CHECK_OK(close(fds[i]));
	CHECK_ERRNO(close(fds[0]), EBADF);
}

static void of_a_directory(void)
{
	t_put(t_at("f"), "x");
	int a = MUST(open(t_dir, O_RDONLY | O_DIRECTORY)), b = MUST(dup(a));

	CHECK_OK(close(a));
	CHECK_OK(close(openat(b, "f", O_RDONLY)));
	CHECK_OK(fchdir(b));
	CHECK_OK(close(b));
	CHECK_OK(access("f", F_OK));
}

T_MAIN(CASE(share_offset_and_flags), CASE(not_of_the_same_open),
       CASE(onto_a_number), CASE(kernel_and_ours), CASE(dup3_flags),
       CASE(many_aliases), CASE(of_a_directory))
