/* mmap(2) of files: reading, write-back, private copies, life after close. */
#include <sys/mman.h>
#include "t.h"

#define PAGE 4096

static char *map(int fd, size_t len, int prot, int flags, off_t at)
{
	return MUST_PTR(mmap(NULL, len, prot, flags, fd, at));
}

static void reads(void)
{
	char *data = MUST_PTR(malloc(5 * PAGE + 123));

	t_fill(data, 5 * PAGE + 123, 0, 1);
	t_put_mem(t_at("f"), data, 5 * PAGE + 123);
	int fd = MUST(open(t_at("f"), O_RDONLY));
	char *all = map(fd, 5 * PAGE + 123, PROT_READ, MAP_PRIVATE, 0);
	char *part = map(fd, 2 * PAGE, PROT_READ, MAP_SHARED, 3 * PAGE);

	CHECK_OK(close(fd));
	CHECK_MEM(all, data, 5 * PAGE + 123);
	CHECK_MEM(part, data + 3 * PAGE, 2 * PAGE);
	/* The rest of the last page is zero. */
	CHECK_EQ(all[5 * PAGE + 123], 0);
	CHECK_EQ(all[6 * PAGE - 1], 0);
	CHECK_OK(munmap(all, 5 * PAGE + 123));
	CHECK_OK(munmap(part, 2 * PAGE));
	free(data);
}

static void shared_writes_reach_the_file(void)
{
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	CHECK_OK(ftruncate(fd, 2 * PAGE));
	char *m = map(fd, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, 0);

	memcpy(m, "start", 5);
	memcpy(m + 2 * PAGE - 3, "end", 3);
	CHECK_OK(msync(m, 2 * PAGE, MS_SYNC));
	char got[8];

	CHECK_EQ(pread(fd, got, 5, 0), 5);
	CHECK_MEM(got, "start", 5);
	CHECK_EQ(pread(fd, got, 3, 2 * PAGE - 3), 3);
	CHECK_MEM(got, "end", 3);
	memcpy(m, "again", 5);
	CHECK_OK(munmap(m, 2 * PAGE));
	CHECK_EQ(pread(fd, got, 5, 0), 5);
	CHECK_MEM(got, "again", 5);
	CHECK_EQ(t_size(t_at("f")), 2 * PAGE);
	CHECK_OK(close(fd));
}

static void close_before_use(void)
{
	t_put(t_at("f"), "0123456789");
	int fd = MUST(open(t_at("f"), O_RDWR));
	char *m = map(fd, 10, PROT_READ | PROT_WRITE, MAP_SHARED, 0);

	CHECK_OK(close(fd));
	m[0] = 'X';
	m[9] = 'Y';
	CHECK_OK(munmap(m, 10));
	CHECK_FILE(t_at("f"), "X12345678Y");
}

static void with_offset(void)
{
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	CHECK_OK(ftruncate(fd, 4 * PAGE));
	char *m = map(fd, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, 2 * PAGE);

	memcpy(m, "third", 5);
	CHECK_OK(munmap(m, PAGE));
	char got[5];

	CHECK_EQ(pread(fd, got, 5, 2 * PAGE), 5);
	CHECK_MEM(got, "third", 5);
	CHECK_EQ(pread(fd, got, 5, 0), 5);
	CHECK_MEM(got, "\0\0\0\0\0", 5);
	CHECK_OK(close(fd));
}

static void private_stays_private(void)
{
	t_put(t_at("f"), "0123456789");
	int fd = MUST(open(t_at("f"), O_RDONLY));
	char *m = map(fd, 10, PROT_READ | PROT_WRITE, MAP_PRIVATE, 0);

	m[0] = 'X';
	CHECK_EQ(m[0], 'X');
	CHECK_EQ(m[1], '1');
	CHECK_OK(msync(m, 10, MS_SYNC));
	CHECK_OK(munmap(m, 10));
	CHECK_FILE(t_at("f"), "0123456789");
	CHECK_OK(close(fd));
}

/* What one side of the same process writes, the other sees. */
static void coherent_with_read_and_write(void)
{
	char got[8];

	t_put(t_at("f"), "0123456789");
	int fd = MUST(open(t_at("f"), O_RDWR));
	char *m = map(fd, 10, PROT_READ | PROT_WRITE, MAP_SHARED, 0);

	CHECK_EQ(pwrite(fd, "ab", 2, 2), 2);
	CHECK_MEM(m, "01ab456789", 10);
	m[5] = '!';
	CHECK_EQ(pread(fd, got, 1, 5), 1);
	CHECK_EQ(got[0], '!');
	CHECK_OK(munmap(m, 10));
	CHECK_OK(close(fd));
}

static void two_maps_of_one_file(void)
{
	t_put(t_at("f"), "0123456789");
	int a = MUST(open(t_at("f"), O_RDWR)),
	    b = MUST(open(t_at("f"), O_RDWR));
	char *ma = map(a, 10, PROT_READ | PROT_WRITE, MAP_SHARED, 0);
	char *mb = map(b, 10, PROT_READ | PROT_WRITE, MAP_SHARED, 0);

	ma[0] = 'A';
	CHECK_EQ(mb[0], 'A');
	mb[9] = 'B';
	CHECK_EQ(ma[9], 'B');
	CHECK_OK(munmap(ma, 10));
	CHECK_OK(munmap(mb, 10));
	CHECK_FILE(t_at("f"), "A12345678B");
	CHECK_OK(close(a));
	CHECK_OK(close(b));
}

static void at_exit(void *arg)
{
	(void)arg;
	int fd = MUST(open(t_at("f"), O_RDWR));
	char *m = map(fd, 10, PROT_READ | PROT_WRITE, MAP_SHARED, 0);

	m[3] = 'E';
	/* Neither munmap nor close: the exit does it. */
}

static void exit_writes_back(void)
{
	t_put(t_at("f"), "0123456789");
	CHECK_CHILD(at_exit, NULL);
	CHECK_FILE(t_at("f"), "012E456789");
}

static void writes_in_child(void *arg)
{
	char *m = arg;

	CHECK_EQ(m[0], 'P');
	m[1] = 'C';
}

static void over_fork(void)
{
	t_put(t_at("f"), "0123456789");
	int fd = MUST(open(t_at("f"), O_RDWR));
	char *m = map(fd, 10, PROT_READ | PROT_WRITE, MAP_SHARED, 0);

	m[0] = 'P';
	CHECK_CHILD(writes_in_child, m);
	CHECK_EQ(m[1], 'C');
	CHECK_OK(munmap(m, 10));
	CHECK_FILE(t_at("f"), "PC23456789");
	CHECK_OK(close(fd));
}

static void partial_unmap_and_protect(void)
{
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	CHECK_OK(ftruncate(fd, 4 * PAGE));
	char *m = map(fd, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, 0);

	m[0] = 'a';
	m[PAGE] = 'b';
	m[3 * PAGE] = 'd';
	CHECK_OK(munmap(m + PAGE, PAGE));
	CHECK_OK(mprotect(m, PAGE, PROT_READ));
	CHECK_EQ(m[0], 'a');
	CHECK_EQ(m[3 * PAGE], 'd');
	CHECK_OK(munmap(m, PAGE));
	CHECK_OK(munmap(m + 2 * PAGE, 2 * PAGE));
	char c;

	CHECK_EQ(pread(fd, &c, 1, 0), 1);
	CHECK_EQ(c, 'a');
	CHECK_EQ(pread(fd, &c, 1, PAGE), 1);
	CHECK_EQ(c, 'b');
	CHECK_EQ(pread(fd, &c, 1, 3 * PAGE), 1);
	CHECK_EQ(c, 'd');
	CHECK_OK(close(fd));
}

static void fixed_and_remapped(void)
{
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	CHECK_OK(ftruncate(fd, 4 * PAGE));
	char *hole =
		map(-1, 4 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, 0);
	char *m = mmap(hole + PAGE, 2 * PAGE, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_FIXED, fd, PAGE);

	CHECK(m == hole + PAGE);
	m[0] = 'x';
	char *n = mremap(m, 2 * PAGE, 3 * PAGE, MREMAP_MAYMOVE);

	CHECK(n != MAP_FAILED);
	if (n != MAP_FAILED) {
		CHECK_EQ(n[0], 'x');
		n[2 * PAGE] = 'z';
		CHECK_OK(munmap(n, 3 * PAGE));
	}
	char c;

	CHECK_EQ(pread(fd, &c, 1, PAGE), 1);
	CHECK_EQ(c, 'x');
	CHECK_EQ(pread(fd, &c, 1, 3 * PAGE), 1);
	CHECK_EQ(c, 'z');
	CHECK_OK(close(fd));
	/* MAP_FIXED over a file map unmaps it: the bytes are kept. */
	fd = MUST(open(t_at("g"), O_RDWR | O_CREAT, 0644));
	CHECK_OK(ftruncate(fd, PAGE));
	m = map(fd, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, 0);
	m[1] = 'k';
	CHECK(mmap(m, PAGE, PROT_READ, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS,
		   -1, 0) == m);
	CHECK_EQ(m[1], 0);
	CHECK_EQ(pread(fd, &c, 1, 1), 1);
	CHECK_EQ(c, 'k');
	CHECK_OK(munmap(m, PAGE));
	CHECK_OK(close(fd));
}

static void errors(void)
{
	t_put(t_at("f"), "0123456789");
	int fd = MUST(open(t_at("f"), O_RDONLY));

#define CHECK_MAP_ERRNO(expr, want)                                            \
	do {                                                                   \
		errno = 0;                                                     \
		CHECK((expr) == MAP_FAILED);                                   \
		CHECK_EQ(errno, want);                                         \
	} while (0)
	CHECK_MAP_ERRNO(
		mmap(NULL, 10, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0),
		EACCES);
	CHECK_MAP_ERRNO(mmap(NULL, 0, PROT_READ, MAP_PRIVATE, fd, 0), EINVAL);
	CHECK_MAP_ERRNO(mmap(NULL, 10, PROT_READ, MAP_PRIVATE, fd, 1), EINVAL);
	CHECK_MAP_ERRNO(mmap(NULL, 10, PROT_READ, 0, fd, 0), EINVAL);
	CHECK_OK(close(fd));
	CHECK_MAP_ERRNO(mmap(NULL, 10, PROT_READ, MAP_PRIVATE, fd, 0), EBADF);
	fd = MUST(open(t_at("f"), O_WRONLY));
	CHECK_MAP_ERRNO(mmap(NULL, 10, PROT_READ, MAP_PRIVATE, fd, 0), EACCES);
	CHECK_MAP_ERRNO(mmap(NULL, 10, PROT_WRITE, MAP_SHARED, fd, 0), EACCES);
	CHECK_OK(close(fd));
	fd = MUST(open(t_dir, O_RDONLY));
	CHECK_MAP_ERRNO(mmap(NULL, 10, PROT_READ, MAP_PRIVATE, fd, 0), ENODEV);
	CHECK_OK(close(fd));
}

static void many(void)
{
	enum { COUNT = 100 };
	char *maps[COUNT];

	for (int i = 0; i < COUNT; i++) {
		int fd = MUST(open(t_at("f%d", i), O_RDWR | O_CREAT, 0644));

		MUST(ftruncate(fd, PAGE));
		maps[i] = map(fd, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, 0);
		MUST(close(fd));
		snprintf(maps[i], 16, "map %d", i);
	}
	for (int i = 0; i < COUNT; i++)
		CHECK_OK(munmap(maps[i], PAGE));
	for (int i = 0; i < COUNT; i++) {
		char want[16], got[16] = "";
		int fd = MUST(open(t_at("f%d", i), O_RDONLY));

		snprintf(want, sizeof(want), "map %d", i);
		CHECK_EQ(read(fd, got, 15), 15);
		CHECK_STR(got, want);
		MUST(close(fd));
	}
}

static void past_the_last_byte_is_not_written(void)
{
	t_put(t_at("f"), "abc");
	int fd = MUST(open(t_at("f"), O_RDWR));
	char *m = map(fd, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, 0);

	m[0] = 'A';
	m[100] = 'x';
	CHECK_OK(munmap(m, PAGE));
	CHECK_EQ(t_size(t_at("f")), 3);
	CHECK_FILE(t_at("f"), "Abc");
	CHECK_OK(close(fd));
}

T_MAIN(CASE(reads), CASE(shared_writes_reach_the_file), CASE(close_before_use),
       CASE(with_offset), CASE(private_stays_private),
       CASE(coherent_with_read_and_write), CASE(two_maps_of_one_file),
       CASE(exit_writes_back), CASE(over_fork), CASE(partial_unmap_and_protect),
       CASE(fixed_and_remapped), CASE(errors), CASE(many),
       CASE(past_the_last_byte_is_not_written))
