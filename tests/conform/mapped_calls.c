/* What else is asked of mapped files: advice, protection, order, sync(2). */
#include <sys/mman.h>
#include "t.h"

#define PAGE 4096

static char *map(int fd, int prot, int flags)
{
	return MUST_PTR(mmap(NULL, PAGE, prot, flags, fd, 0));
}

static void advice(void)
{
	t_put(t_at("f"), "bytes");
	int fd = MUST(open(t_at("f"), O_RDWR));
	char *m = map(fd, PROT_READ | PROT_WRITE, MAP_SHARED);
	char *p = map(fd, PROT_READ | PROT_WRITE, MAP_PRIVATE);

	m[0] = 'B';
	CHECK_OK(madvise(m, PAGE, MADV_WILLNEED));
	CHECK_OK(madvise(m, PAGE, MADV_SEQUENTIAL));
	/* A shared page is forgotten here, not in the file. */
	CHECK_OK(madvise(m, PAGE, MADV_DONTNEED));
	CHECK_MEM(m, "Bytes", 5);
	/* A private one is the file's again. */
	p[1] = 'Y';
	CHECK_OK(madvise(p, PAGE, MADV_DONTNEED));
	CHECK_MEM(p, "Bytes", 5);
	CHECK_ERRNO(madvise(m, PAGE, 12345), EINVAL);
	CHECK_ERRNO(madvise(m + 1, PAGE, MADV_NORMAL), EINVAL);
	CHECK_OK(munmap(m, PAGE));
	CHECK_OK(munmap(p, PAGE));
	CHECK_ERRNO(madvise(m, PAGE, MADV_WILLNEED), ENOMEM);
	CHECK_OK(close(fd));
	CHECK_FILE(t_at("f"), "Bytes");
}

/* A map made for reading becomes one for writing: what is written stays. */
static void made_writable(void)
{
	t_put(t_at("f"), "abcd");
	int fd = MUST(open(t_at("f"), O_RDWR));
	char *m = map(fd, PROT_READ, MAP_SHARED);

	CHECK_OK(mprotect(m, PAGE, PROT_READ | PROT_WRITE));
	m[1] = 'X';
	CHECK_OK(msync(m, PAGE, MS_SYNC));
	CHECK_FILE(t_at("f"), "aXcd");
	m[2] = 'Y';
	CHECK_OK(mprotect(m, PAGE, PROT_READ));
	CHECK_OK(munmap(m, PAGE));
	CHECK_OK(close(fd));
	CHECK_FILE(t_at("f"), "aXYd");
}

/* A part of it, beside one made for writing; and with nobody's hand on it. */
static void made_writable_in_part(void)
{
	enum { PAGES = 5 };
	char *got = MUST_PTR(malloc(PAGES * PAGE));
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	MUST(ftruncate(fd, PAGES * PAGE - 10));
	char *m = MUST_PTR(
		mmap(NULL, PAGES * PAGE, PROT_READ, MAP_SHARED, fd, 0));
	char *w = map(fd, PROT_READ | PROT_WRITE, MAP_SHARED);

	CHECK_OK(close(fd));
	w[1] = 'w';
	CHECK_OK(mprotect(m + PAGE, 2 * PAGE, PROT_READ | PROT_WRITE));
	CHECK_EQ(m[1], 'w');
	m[PAGE] = 'a';
	m[3 * PAGE - 1] = 'b';
	CHECK_OK(mprotect(m + 4 * PAGE, PAGE, PROT_WRITE | PROT_READ));
	m[4 * PAGE] = 'c';
	CHECK_OK(mprotect(m, PAGES * PAGE, PROT_NONE));
	CHECK_OK(mprotect(m, PAGES * PAGE, PROT_READ | PROT_WRITE));
	m[3 * PAGE] = 'd';
	CHECK_OK(msync(m, PAGES * PAGE, MS_SYNC));
	fd = MUST(open(t_at("f"), O_RDONLY));
	CHECK_EQ(read(fd, got, PAGES * PAGE), PAGES * PAGE - 10);
	CHECK_EQ(got[1], 'w');
	CHECK_EQ(got[PAGE], 'a');
	CHECK_EQ(got[3 * PAGE - 1], 'b');
	CHECK_EQ(got[3 * PAGE], 'd');
	CHECK_EQ(got[4 * PAGE], 'c');
	m[2] = 'z';
	CHECK_OK(munmap(m, PAGES * PAGE));
	CHECK_EQ(pread(fd, got, 3, 0), 3);
	CHECK_MEM(got, "\0wz", 3);
	/* Also a page of it that is mapped no more. */
	m = MUST_PTR(mmap(NULL, PAGES * PAGE, PROT_READ, MAP_SHARED, fd, 0));
	CHECK_ERRNO(mprotect(m, PAGES * PAGE, PROT_READ | PROT_WRITE), EACCES);
	CHECK_ERRNO(mprotect(m + 1, PAGE, PROT_READ | PROT_WRITE), EINVAL);
	CHECK_OK(munmap(m + PAGE, PAGE));
	CHECK_ERRNO(mprotect(m, PAGES * PAGE, PROT_READ), ENOMEM);
	CHECK_OK(munmap(m, PAGES * PAGE));
	CHECK_OK(munmap(w, PAGE));
	CHECK_OK(close(fd));
	free(got);
}

/* A child makes its mapping writable: the parent sees it, and the file has it. */
static void made_writable_in_child(void *m)
{
	CHECK_OK(mprotect(m, PAGE, PROT_READ | PROT_WRITE));
	((char *)m)[1] = 'X';
}

static void made_writable_after_fork(void)
{
	t_put(t_at("f"), "abcd");
	int fd = MUST(open(t_at("f"), O_RDWR));
	char *m = map(fd, PROT_READ, MAP_SHARED);

	CHECK_CHILD(made_writable_in_child, m);
	CHECK_FILE(t_at("f"), "aXcd");
	CHECK_EQ(m[1], 'X');
	CHECK_OK(mprotect(m, PAGE, PROT_READ | PROT_WRITE));
	m[2] = 'Y';
	CHECK_OK(munmap(m, PAGE));
	CHECK_OK(close(fd));
	CHECK_FILE(t_at("f"), "aXYd");
}

/* But not of a file that is open for reading only. */
static void stays_read_only(void)
{
	t_put(t_at("f"), "abcd");
	int fd = MUST(open(t_at("f"), O_RDONLY));
	char *m = map(fd, PROT_READ, MAP_SHARED);
	char *p = map(fd, PROT_READ, MAP_PRIVATE);

	CHECK_ERRNO(mprotect(m, PAGE, PROT_READ | PROT_WRITE), EACCES);
	CHECK_OK(mprotect(p, PAGE, PROT_READ | PROT_WRITE));
	p[0] = 'X';
	CHECK_OK(munmap(m, PAGE));
	CHECK_OK(munmap(p, PAGE));
	CHECK_OK(close(fd));
	CHECK_FILE(t_at("f"), "abcd");
}

static void in_other_order(void)
{
	char *mine = MUST_PTR(mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0));

	t_put(t_at("f"), "abcd");
	int fd = MUST(open(t_at("f"), O_RDWR)), got;

	MUST(ftruncate(fd, 2 * PAGE));
	char *m = MUST_PTR(mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
				MAP_SHARED, fd, 0));

	got = remap_file_pages(m, PAGE, 0, 1, 0);
	if (t_mount()) {
		/* The library keeps one order: refused, nothing is changed. */
		CHECK(got == -1 && errno == EINVAL);
		CHECK_MEM(m, "abcd", 4);
	} else if (got == 0) {
		CHECK_EQ(m[0], 0);
	}
	/* Memory that is no file's is the kernel's. */
	mine[PAGE] = 'x';
	got = remap_file_pages(mine, PAGE, 0, 1, 0);
	CHECK((got == 0 && mine[0] == 'x') || errno == ENOSYS);
	CHECK_OK(munmap(m, 2 * PAGE));
	CHECK_OK(munmap(mine, 2 * PAGE));
	CHECK_OK(close(fd));
}

static void reads_it(void *arg)
{
	CHECK_FILE(t_at("f"), (char *)arg);
}

static void synced(void)
{
	t_put(t_at("f"), "abcd");
	int fd = MUST(open(t_at("f"), O_RDWR));
	char *m = map(fd, PROT_READ | PROT_WRITE, MAP_SHARED);

	m[0] = '1';
	sync();
	CHECK_CHILD(reads_it, "1bcd");
	m[1] = '2';
	CHECK_OK(syncfs(fd));
	CHECK_CHILD(reads_it, "12cd");
	m[2] = '3';
	CHECK_OK(fdatasync(fd));
	CHECK_CHILD(reads_it, "123d");
	CHECK_OK(munmap(m, PAGE));
	CHECK_OK(close(fd));
}

T_MAIN(CASE(advice), CASE(made_writable), CASE(made_writable_in_part),
       CASE(made_writable_after_fork), CASE(stays_read_only),
       CASE(in_other_order), CASE(synced))
