/* creat(2): write only, created, truncated. */
#include "t.h"

static void creates_and_truncates(void)
{
	char c;
	int fd = MUST(creat(t_at("f"), 0640));

	CHECK_EQ(t_mode(t_at("f")), S_IFREG | 0640);
	CHECK_EQ(write(fd, "hello", 5), 5);
	CHECK_ERRNO(read(fd, &c, 1), EBADF);
	CHECK_EQ(fcntl(fd, F_GETFL) & O_ACCMODE, O_WRONLY);
	CHECK_OK(close(fd));
	CHECK_FILE(t_at("f"), "hello");
	fd = MUST(creat(t_at("f"), 0600));
	CHECK_EQ(t_size(t_at("f")), 0);
	CHECK_EQ(t_mode(t_at("f")), S_IFREG | 0640);
	CHECK_OK(close(fd));
}

static void errors(void)
{
	MUST(mkdir(t_at("d"), 0755));
	CHECK_ERRNO(creat(t_at("d"), 0644), EISDIR);
	CHECK_ERRNO(creat(t_at("none/f"), 0644), ENOENT);
	t_put(t_at("f"), "x");
	CHECK_ERRNO(creat(t_at("f/g"), 0644), ENOTDIR);
	CHECK_ERRNO(creat("", 0644), ENOENT);
}

T_MAIN(CASE(creates_and_truncates), CASE(errors))
