/* copy_file_range, sendfile, splice, tee between files, pipes and sockets. */
#include <sys/sendfile.h>
#include <sys/socket.h>
#include "t.h"

static void copy_range(void)
{
	t_put(t_at("a"), "0123456789");
	int a = MUST(open(t_at("a"), O_RDONLY));
	int b = MUST(open(t_at("b"), O_RDWR | O_CREAT, 0644));
	off_t in = 2, out = 5;

	CHECK_EQ(copy_file_range(a, NULL, b, NULL, 4, 0), 4);
	CHECK_EQ(lseek(a, 0, SEEK_CUR), 4);
	CHECK_EQ(lseek(b, 0, SEEK_CUR), 4);
	CHECK_FILE(t_at("b"), "0123");
	CHECK_EQ(copy_file_range(a, &in, b, &out, 3, 0), 3);
	CHECK_EQ(in, 5);
	CHECK_EQ(out, 8);
	CHECK_EQ(lseek(a, 0, SEEK_CUR), 4);
	CHECK_FILE_MEM(t_at("b"), "0123\000234", 8);
	CHECK_EQ(copy_file_range(a, NULL, b, NULL, 100, 0), 6);
	CHECK_EQ(copy_file_range(a, NULL, b, NULL, 100, 0), 0);
	CHECK_ERRNO(copy_file_range(a, NULL, b, NULL, 1, 1), EINVAL);
	CHECK_ERRNO(copy_file_range(b, NULL, a, NULL, 1, 0), EBADF);
	CHECK_ERRNO(copy_file_range(-1, NULL, b, NULL, 1, 0), EBADF);
	CHECK_OK(close(a));
	CHECK_OK(close(b));
}

/* What the call would copy may not overlap; what lies behind the end does not count. */
static void copy_within(void)
{
	t_put(t_at("a"), "0123456789");
	int a = MUST(open(t_at("a"), O_RDWR));
	off_t in = 0, out = 5;

	CHECK_ERRNO(copy_file_range(a, &in, a, &out, 6, 0), EINVAL);
	CHECK_EQ(copy_file_range(a, &in, a, &out, 5, 0), 5);
	CHECK_FILE(t_at("a"), "0123401234");
	in = 8, out = 10;
	CHECK_EQ(copy_file_range(a, &in, a, &out, 100, 0), 2);
	CHECK_FILE(t_at("a"), "012340123434");
	in = 50, out = 51;
	CHECK_EQ(copy_file_range(a, &in, a, &out, 100, 0), 0);
	CHECK_FILE(t_at("a"), "012340123434");
	CHECK_OK(close(a));
}

static void copy_large(void)
{
	enum { LEN = 2 * 1024 * 1024 + 777 };
	char *data = MUST_PTR(malloc(LEN));

	t_fill(data, LEN, 0, 9);
	t_put_mem(t_at("a"), data, LEN);
	int a = MUST(open(t_at("a"), O_RDONLY));
	int b = MUST(open(t_at("b"), O_RDWR | O_CREAT, 0644));
	ssize_t n, sum = 0;

	while ((n = copy_file_range(a, NULL, b, NULL, LEN, 0)) > 0)
		sum += n;
	CHECK_EQ(sum, LEN);
	CHECK_FILE_MEM(t_at("b"), data, LEN);
	CHECK_OK(close(a));
	CHECK_OK(close(b));
	free(data);
}

static void send_file(void)
{
	char got[16];
	int pair[2];
	off_t at = 3;

	t_put(t_at("a"), "0123456789");
	int a = MUST(open(t_at("a"), O_RDONLY));
	int b = MUST(open(t_at("b"), O_RDWR | O_CREAT, 0644));

	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	CHECK_EQ(sendfile(pair[0], a, NULL, 4), 4);
	CHECK_EQ(lseek(a, 0, SEEK_CUR), 4);
	CHECK_EQ(read(pair[1], got, 16), 4);
	CHECK_MEM(got, "0123", 4);
	CHECK_EQ(sendfile(pair[0], a, &at, 4), 4);
	CHECK_EQ(at, 7);
	CHECK_EQ(read(pair[1], got, 16), 4);
	CHECK_MEM(got, "3456", 4);
	CHECK_EQ(sendfile(b, a, NULL, 100), 6);
	CHECK_FILE(t_at("b"), "456789");
	CHECK_EQ(sendfile(b, a, NULL, 100), 0);
	CHECK_ERRNO(sendfile(a, b, NULL, 1), EBADF);
	CHECK_OK(close(pair[0]));
	CHECK_OK(close(pair[1]));
	CHECK_OK(close(a));
	CHECK_OK(close(b));
}

static void splice_both_ways(void)
{
	char got[16];
	int pair[2];
	off_t at = 2;

	t_put(t_at("a"), "0123456789");
	int a = MUST(open(t_at("a"), O_RDWR));

	MUST(pipe(pair));
	ssize_t n = splice(a, NULL, pair[1], NULL, 4, 0);

	if (n < 0 && t_mount()) {
		/* May be refused: programs fall back on read and write. */
		CHECK_EQ(errno, EINVAL);
	} else {
		CHECK_EQ(n, 4);
		CHECK_EQ(read(pair[0], got, 16), 4);
		CHECK_MEM(got, "0123", 4);
		CHECK_EQ(lseek(a, 0, SEEK_CUR), 4);
		CHECK_EQ(write(pair[1], "PIPE", 4), 4);
		CHECK_EQ(splice(pair[0], NULL, a, &at, 4, 0), 4);
		CHECK_EQ(at, 6);
		CHECK_FILE(t_at("a"), "01PIPE6789");
	}
	CHECK_OK(close(pair[0]));
	CHECK_OK(close(pair[1]));
	CHECK_OK(close(a));
}

/* Between this directory and a file of the kernel. */
static void mixed(void)
{
	char out[64];

	snprintf(out, sizeof(out), "/dev/shm/t_transfer_%d", getpid());
	int k = open(out, O_RDWR | O_CREAT | O_EXCL, 0600);

	if (k < 0)
		SKIP_CASE("no /dev/shm");
	MUST(unlink(out));
	t_put(t_at("a"), "from here");
	int a = MUST(open(t_at("a"), O_RDWR));
	char got[16];

	CHECK_EQ(sendfile(k, a, NULL, 100), 9);
	CHECK_EQ(pread(k, got, 16, 0), 9);
	CHECK_MEM(got, "from here", 9);
	CHECK_EQ(lseek(k, 0, SEEK_SET), 0);
	CHECK_OK(ftruncate(a, 0));
	CHECK_EQ(lseek(a, 0, SEEK_SET), 0);
	CHECK_EQ(sendfile(a, k, NULL, 100), 9);
	CHECK_FILE(t_at("a"), "from here");
	off_t at = 0;
	ssize_t n = copy_file_range(a, &at, k, NULL, 9, 0);

	/* Between two file systems the kernel may say EXDEV. */
	if (n < 0)
		CHECK(errno == EXDEV || errno == EINVAL);
	else
		CHECK_EQ(n, 9);
	CHECK_OK(close(a));
	CHECK_OK(close(k));
}

T_MAIN(CASE(copy_range), CASE(copy_within), CASE(copy_large), CASE(send_file),
       CASE(splice_both_ways), CASE(mixed))
