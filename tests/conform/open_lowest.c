/* open(2) gives the lowest free number, as the kernel's own descriptors do. */
#include "t.h"

static void next_free(void)
{
	int a = MUST(open("/dev/null", O_RDONLY));
	int b = MUST(open(t_at("b"), O_RDWR | O_CREAT, 0644));
	int c = MUST(open("/dev/null", O_RDONLY));
	int d = MUST(open(t_at("d"), O_RDWR | O_CREAT, 0644));

	CHECK(a < b && b < c && c < d);
	CHECK_OK(close(b));
	CHECK_EQ(open("/dev/null", O_RDONLY), b);
	CHECK_OK(close(a));
	CHECK_EQ(open(t_at("d"), O_RDONLY), a);
	CHECK_OK(close(c));
	int pair[2];

	CHECK_OK(pipe(pair));
	CHECK_EQ(pair[0], c);
	CHECK_OK(close(pair[0]));
	CHECK_OK(close(pair[1]));
	CHECK_EQ(open(t_at("b"), O_RDONLY), c);
	for (int fd = a; fd <= d; fd++)
		CHECK_OK(close(fd));
}

static void in_child(void *arg)
{
	(void)arg;
	CHECK_OK(close(0));
	CHECK_EQ(open(t_at("f"), O_RDWR | O_CREAT, 0644), 0);
	CHECK_EQ(write(0, "zero", 4), 4);
	CHECK_OK(close(1));
	CHECK_EQ(dup(0), 1);
	CHECK_EQ(write(1, "one", 3), 3);
	CHECK_FILE(t_at("f"), "zeroone");
}

static void standard_numbers(void)
{
	CHECK_CHILD(in_child, NULL);
}

static void failed_open_takes_no_number(void)
{
	int a = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	CHECK_OK(close(a));
	CHECK_ERRNO(open(t_at("none"), O_RDONLY), ENOENT);
	CHECK_ERRNO(open(t_at("f"), O_RDONLY | O_DIRECTORY), ENOTDIR);
	CHECK_EQ(open(t_at("f"), O_RDONLY), a);
	CHECK_OK(close(a));
}

static void many(void)
{
	enum { COUNT = 600 };
	int fds[COUNT];

	for (int i = 0; i < COUNT; i++) {
		fds[i] = MUST(open(t_at("f%d", i % 7), O_RDWR | O_CREAT, 0644));
		if (i)
			CHECK(fds[i] > fds[i - 1]);
	}
	for (int i = 0; i < COUNT; i += 3)
		CHECK_OK(close(fds[i]));
	for (int i = 0; i < COUNT; i += 3)
		CHECK_EQ(open(t_at("f%d", i % 7), O_RDWR), fds[i]);
	for (int i = 0; i < COUNT; i++)
		CHECK_OK(close(fds[i]));
}

T_MAIN(CASE(next_free), CASE(standard_numbers),
       CASE(failed_open_takes_no_number), CASE(many))
