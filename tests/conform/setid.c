/* Who writes to a program takes its set-id bits away, unless he is root. */
#include <sys/uio.h>
#include "t.h"

#define BOTH (S_IFREG | S_ISUID | S_ISGID | 0777)

static char *f;

static int marked(void)
{
	t_put(f, "0123456789");
	MUST(chmod(f, BOTH & 07777));
	CHECK_EQ(t_mode(f), BOTH);
	return MUST(open(f, O_RDWR));
}

#define TAKES(call)                                                            \
	do {                                                                   \
		int fd = marked();                                             \
		CHECK_OK(call);                                                \
		CHECK_EQ(t_mode(f), want);                                     \
		CHECK_OK(close(fd));                                           \
	} while (0)

static void writers(void)
{
	struct iovec v = {"x", 1};
	mode_t want = t_root() ? BOTH : S_IFREG | 0777;

	f = t_at("f");
	t_put(t_at("from"), "abc");
	int from = MUST(open(t_at("from"), O_RDONLY));

	TAKES(write(fd, "x", 1));
	TAKES(pwrite(fd, "x", 1, 5));
	TAKES(writev(fd, &v, 1));
	TAKES(ftruncate(fd, 3));
	TAKES(truncate(f, 3));
	TAKES(close(open(f, O_WRONLY | O_TRUNC)));
	TAKES(fallocate(fd, 0, 0, 100));
	TAKES(copy_file_range(from, NULL, fd, NULL, 3, 0));
	/* Others do not. */
	want = BOTH;
	TAKES(write(fd, "", 0));
	TAKES(read(fd, (char[4]){0}, 4));
	TAKES(fsync(fd));
	CHECK_OK(close(from));
}

static void once_more(void)
{
	if (t_root())
		SKIP_CASE("root keeps them");
	f = t_at("f");
	int fd = marked();

	CHECK_EQ(write(fd, "x", 1), 1);
	CHECK_EQ(t_mode(f), S_IFREG | 0777);
	CHECK_OK(fchmod(fd, 04755));
	CHECK_EQ(write(fd, "y", 1), 1);
	CHECK_EQ(t_mode(f), S_IFREG | 0755);
	/* Set-group-id without a group that may execute is something else. */
	CHECK_OK(fchmod(fd, 06745));
	CHECK_EQ(write(fd, "z", 1), 1);
	CHECK_EQ(t_mode(f), S_IFREG | 02745);
	CHECK_OK(close(fd));
}

T_MAIN(CASE(writers), CASE(once_more))
