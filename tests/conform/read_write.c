/* read(2), write(2): offsets, end of file, holes, zero lengths, bad buffers. */
#include <sys/resource.h>
#include <signal.h>
#include "t.h"

static void roundtrip(void)
{
	char got[32];
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	CHECK_EQ(write(fd, "hello ", 6), 6);
	CHECK_EQ(write(fd, "world", 5), 5);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 11);
	CHECK_EQ(read(fd, got, sizeof(got)), 0);
	CHECK_EQ(lseek(fd, 3, SEEK_SET), 3);
	CHECK_EQ(read(fd, got, 4), 4);
	CHECK_MEM(got, "lo w", 4);
	CHECK_EQ(read(fd, got, sizeof(got)), 4);
	CHECK_MEM(got, "orld", 4);
	CHECK_EQ(read(fd, got, sizeof(got)), 0);
	CHECK_OK(close(fd));
}

static void past_the_end(void)
{
	char got[8] = "zzzzzzz";
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	CHECK_EQ(write(fd, "ab", 2), 2);
	CHECK_EQ(lseek(fd, 100, SEEK_SET), 100);
	CHECK_EQ(read(fd, got, 4), 0);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 100);
	CHECK_EQ(t_size(t_at("f")), 2);
	CHECK_EQ(write(fd, "c", 1), 1);
	CHECK_EQ(t_size(t_at("f")), 101);
	CHECK_EQ(pread(fd, got, 4, 0), 4);
	CHECK_MEM(got, "ab\0\0", 4);
	CHECK_EQ(pread(fd, got, 4, 98), 3);
	CHECK_MEM(got, "\0\0c", 3);
	CHECK_OK(close(fd));
}

static void zero_length(void)
{
	char c;
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	CHECK_EQ(write(fd, "x", 0), 0);
	CHECK_EQ(t_size(t_at("f")), 0);
	CHECK_EQ(read(fd, &c, 0), 0);
	CHECK_EQ(lseek(fd, 1000, SEEK_SET), 1000);
	CHECK_EQ(write(fd, "x", 0), 0);
	CHECK_EQ(t_size(t_at("f")), 0);
	CHECK_OK(close(fd));
	CHECK_ERRNO(read(fd, &c, 0), EBADF);
}

static void large(void)
{
	enum { LEN = 3 * 1024 * 1024 + 4097 };
	char *want = MUST_PTR(malloc(LEN)), *got = MUST_PTR(malloc(LEN));
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	t_fill(want, LEN, 0, 7);
	CHECK_EQ(write(fd, want, LEN), LEN);
	CHECK_EQ(t_size(t_at("f")), LEN);
	CHECK_EQ(pread(fd, got, LEN, 0), LEN);
	CHECK_MEM(got, want, LEN);
	/* Odd pieces over every boundary of a chunk. */
	CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
	for (off_t at = 0; at < LEN;) {
		ssize_t n = read(fd, got, 65521);

		if (n <= 0) {
			CHECK(n > 0);
			break;
		}
		CHECK_MEM(got, want + at, n);
		at += n;
	}
	CHECK_OK(close(fd));
	free(want);
	free(got);
}

static void overwrite_in_the_middle(void)
{
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	CHECK_EQ(write(fd, "0123456789", 10), 10);
	CHECK_EQ(lseek(fd, 3, SEEK_SET), 3);
	CHECK_EQ(write(fd, "abc", 3), 3);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 6);
	CHECK_FILE(t_at("f"), "012abc6789");
	CHECK_OK(close(fd));
}

static void two_descriptors_one_file(void)
{
	char got[8];
	int w = MUST(open(t_at("f"), O_WRONLY | O_CREAT, 0644));
	int r = MUST(open(t_at("f"), O_RDONLY));

	CHECK_EQ(read(r, got, 8), 0);
	CHECK_EQ(write(w, "now", 3), 3);
	CHECK_EQ(read(r, got, 8), 3);
	CHECK_MEM(got, "now", 3);
	CHECK_EQ(read(r, got, 8), 0);
	CHECK_EQ(write(w, "more", 4), 4);
	CHECK_EQ(read(r, got, 8), 4);
	CHECK_OK(close(w));
	CHECK_OK(close(r));
}

static void bad_buffers(void)
{
	t_put(t_at("f"), "some data");
	int fd = MUST(open(t_at("f"), O_RDWR));

	for (int i = 0; i < T_BAD_POINTERS; i++) {
		CHECK_ERRNO(read(fd, t_bad_pointer(i), 4), EFAULT);
		CHECK_ERRNO(write(fd, t_bad_pointer(i), 4), EFAULT);
		CHECK_ERRNO(pread(fd, t_bad_pointer(i), 4, 0), EFAULT);
		CHECK_ERRNO(pwrite(fd, t_bad_pointer(i), 4, 0), EFAULT);
	}
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 0);
	CHECK_FILE(t_at("f"), "some data");
	CHECK_OK(close(fd));
}

static void absurd_length(void)
{
	char buf[16];

	t_put(t_at("f"), "tiny");
	int fd = MUST(open(t_at("f"), O_RDWR));
	volatile size_t huge = (size_t)-1;

	CHECK_ERRNO2(read(fd, buf, huge), EFAULT, EINVAL);
	CHECK_ERRNO2(write(fd, buf, huge), EFAULT, EINVAL);
	CHECK_EQ(t_size(t_at("f")), 4);
	CHECK_OK(close(fd));
}

static void limited(void *arg)
{
	struct rlimit limit = {.rlim_cur = 4096, .rlim_max = 4096};
	static char page[4096];
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	(void)arg;
	signal(SIGXFSZ, SIG_IGN);
	MUST(setrlimit(RLIMIT_FSIZE, &limit));
	CHECK_EQ(write(fd, page, 4000), 4000);
	/* The write is cut at the limit, the next one refused. */
	CHECK_EQ(write(fd, page, 200), 96);
	CHECK_ERRNO(write(fd, page, 1), EFBIG);
	CHECK_ERRNO(pwrite(fd, page, 1, 5000), EFBIG);
	CHECK_ERRNO(ftruncate(fd, 8192), EFBIG);
	CHECK_EQ(pwrite(fd, page, 10, 0), 10);
	CHECK_EQ(t_size(t_at("f")), 4096);
	signal(SIGXFSZ, SIG_DFL);
	CHECK_OK(close(fd));
}

static void file_size_limit(void)
{
	CHECK_CHILD(limited, NULL);
}

T_MAIN(CASE(roundtrip), CASE(past_the_end), CASE(zero_length), CASE(large),
       CASE(overwrite_in_the_middle), CASE(two_descriptors_one_file),
       CASE(bad_buffers), CASE(absurd_length), CASE(file_size_limit))
