/* readv, writev, preadv, pwritev and the v2 forms with their flags. */
#include <sys/uio.h>
#include "t.h"

static void gather_and_scatter(void)
{
	char a[3], b[5], c[8];
	struct iovec out[3] = {{"ab", 2}, {"", 0}, {"cdefgh", 6}};
	struct iovec in[3] = {{a, 3}, {b, 5}, {c, 8}};
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	CHECK_EQ(writev(fd, out, 3), 8);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 8);
	CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
	CHECK_EQ(readv(fd, in, 3), 8);
	CHECK_MEM(a, "abc", 3);
	CHECK_MEM(b, "defgh", 5);
	CHECK_EQ(readv(fd, in, 3), 0);
	CHECK_OK(close(fd));
}

static void positioned(void)
{
	char a[2], b[2];
	struct iovec out[2] = {{"12", 2}, {"34", 2}};
	struct iovec in[2] = {{a, 2}, {b, 2}};
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	CHECK_EQ(pwritev(fd, out, 2, 10), 4);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 0);
	CHECK_EQ(t_size(t_at("f")), 14);
	CHECK_EQ(preadv(fd, in, 2, 11), 3);
	CHECK_MEM(a, "23", 2);
	CHECK_EQ(b[0], '4');
	CHECK_EQ(preadv(fd, in, 2, 100), 0);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 0);
	CHECK_ERRNO(preadv(fd, in, 2, -1), EINVAL);
	CHECK_ERRNO(pwritev(fd, out, 2, -1), EINVAL);
	CHECK_OK(close(fd));
}

static void with_flags(void)
{
	char a[4];
	struct iovec out = {"abcd", 4}, in = {a, 4};
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	CHECK_EQ(pwritev2(fd, &out, 1, 0, 0), 4);
	CHECK_EQ(preadv2(fd, &in, 1, 0, 0), 4);
	CHECK_MEM(a, "abcd", 4);
	/* Offset -1 means the descriptor's own offset. */
	CHECK_EQ(pwritev2(fd, &out, 1, -1, 0), 4);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 4);
	CHECK_EQ(pwritev2(fd, &out, 1, -1, 0), 4);
	CHECK_EQ(lseek(fd, 2, SEEK_SET), 2);
	CHECK_EQ(preadv2(fd, &in, 1, -1, 0), 4);
	CHECK_MEM(a, "cdab", 4);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 6);
	CHECK_EQ(pwritev2(fd, &out, 1, 0, RWF_APPEND), 4);
	CHECK_EQ(t_size(t_at("f")), 12);
	CHECK_EQ(pwritev2(fd, &out, 1, 0, RWF_DSYNC), 4);
	CHECK_EQ(pwritev2(fd, &out, 1, 0, RWF_SYNC), 4);
	CHECK_ERRNO(preadv2(fd, &in, 1, 0, 0x40000000), EOPNOTSUPP);
	CHECK_ERRNO(pwritev2(fd, &out, 1, 0, 0x40000000), EOPNOTSUPP);
	CHECK_FILE(t_at("f"), "abcdabcdabcd");
	CHECK_OK(close(fd));
}

/* Flags a file system may not know are EOPNOTSUPP; the rest does what it says. */
static void rarer_flags(void)
{
	char a[4];
	struct iovec out = {"WXYZ", 4}, in = {a, 4};

	t_put(t_at("f"), "abcd");
	int fd = MUST(open(t_at("f"), O_RDWR));
	ssize_t n = preadv2(fd, &in, 1, 0, RWF_NOWAIT);

	CHECK(n == 4 || errno == EAGAIN || (t_mount() && errno == EOPNOTSUPP));
	n = pwritev2(fd, &out, 1, 0, RWF_NOWAIT);
	CHECK(n == 4 || errno == EAGAIN || errno == EOPNOTSUPP);
	CHECK_EQ(pwritev2(fd, &out, 1, 0, RWF_HIPRI), 4);
	CHECK_EQ(preadv2(fd, &in, 1, 0, RWF_HIPRI), 4);
	CHECK_MEM(a, "WXYZ", 4);
	/* Appending moves the own position to the end, and leaves it for another. */
	CHECK_EQ(pwritev2(fd, &out, 1, -1, RWF_APPEND), 4);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 8);
	CHECK_EQ(lseek(fd, 1, SEEK_SET), 1);
	CHECK_EQ(pwritev2(fd, &out, 1, 2, RWF_APPEND | RWF_DSYNC), 4);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 1);
	CHECK_FILE(t_at("f"), "WXYZWXYZWXYZ");
	CHECK_ERRNO(pwritev2(fd, &out, 1, -2, 0), EINVAL);
	CHECK_OK(close(fd));
}

static void counts(void)
{
	enum { MANY = 1024 };
	static char byte[MANY], got[MANY];
	struct iovec v[MANY + 1];
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	for (int i = 0; i < MANY; i++) {
		byte[i] = 'a' + i % 26;
		v[i] = (struct iovec){&byte[i], 1};
	}
	v[MANY] = (struct iovec){byte, 1};
	CHECK_EQ(writev(fd, v, MANY), MANY);
	CHECK_EQ(writev(fd, v, 0), 0);
	CHECK_ERRNO(writev(fd, v, MANY + 1), EINVAL);
	volatile int negative = -1;

	CHECK_ERRNO(writev(fd, v, negative), EINVAL);
	CHECK_ERRNO(readv(fd, v, MANY + 1), EINVAL);
	CHECK_EQ(t_size(t_at("f")), MANY);
	for (int i = 0; i < MANY; i++)
		v[i].iov_base = &got[i];
	CHECK_EQ(preadv(fd, v, MANY, 0), MANY);
	CHECK_MEM(got, byte, MANY);
	CHECK_OK(close(fd));
}

static void bad_vectors(void)
{
	char c[4];
	struct iovec v[2] = {{c, 4}, {c, 4}};

	t_put(t_at("f"), "0123456789");
	int fd = MUST(open(t_at("f"), O_RDWR));

	for (int i = 0; i < T_BAD_POINTERS; i++) {
		CHECK_ERRNO(readv(fd, t_bad_pointer(i), 1), EFAULT);
		CHECK_ERRNO(writev(fd, t_bad_pointer(i), 1), EFAULT);
	}
	v[1].iov_len = (size_t)-1;
	CHECK_ERRNO(readv(fd, v, 2), EINVAL);
	CHECK_ERRNO(writev(fd, v, 2), EINVAL);
	CHECK_ERRNO(readv(-1, v, 1), EBADF);
	CHECK_ERRNO(preadv2(-1, v, 1, 0, 0), EBADF);
	CHECK_OK(close(fd));
	fd = MUST(open(t_at("f"), O_RDONLY));
	CHECK_ERRNO(writev(fd, v, 1), EBADF);
	CHECK_OK(close(fd));
	CHECK_FILE(t_at("f"), "0123456789");
}

T_MAIN(CASE(gather_and_scatter), CASE(positioned), CASE(with_flags),
       CASE(rarer_flags), CASE(counts), CASE(bad_vectors))
