/* Pointers no program may pass: EFAULT, never a signal, for kernel files too. */
#include <sys/mman.h>
#include <sys/uio.h>
#include "t.h"

static void paths(void)
{
	struct stat st;
	char buf[8];
	int dir = MUST(open(t_dir, O_RDONLY | O_DIRECTORY));

	for (int i = 0; i < T_BAD_POINTERS; i++) {
		const char *bad = t_bad_pointer(i);

		CHECK_ERRNO(open(bad, O_RDONLY), EFAULT);
		CHECK_ERRNO(openat(dir, bad, O_RDONLY), EFAULT);
		CHECK_ERRNO(openat(AT_FDCWD, bad, O_RDONLY | O_CREAT, 0644),
			    EFAULT);
		CHECK_ERRNO(stat(bad, &st), EFAULT);
		CHECK_ERRNO(fstatat(dir, bad, &st, 0), EFAULT);
		CHECK_ERRNO(access(bad, F_OK), EFAULT);
		CHECK_ERRNO(mkdirat(dir, bad, 0755), EFAULT);
		CHECK_ERRNO(unlinkat(dir, bad, 0), EFAULT);
		CHECK_ERRNO(readlinkat(dir, bad, buf, 8), EFAULT);
		CHECK_ERRNO(symlinkat("x", dir, bad), EFAULT);
		CHECK_ERRNO(renameat(dir, bad, dir, "x"), EFAULT);
		CHECK_ERRNO(chdir(bad), EFAULT);
		CHECK_ERRNO(truncate(bad, 0), EFAULT);
		CHECK_ERRNO(chmod(bad, 0), EFAULT);
		CHECK_ERRNO(chown(bad, -1, -1), EFAULT);
	}
	CHECK_OK(close(dir));
}

/* A path whose end lies beyond the mapped page. */
static void at_the_edge(void)
{
	char *two = MUST_PTR(mmap(NULL, 8192, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	size_t len = strlen(t_at("f"));
	struct stat st;

	MUST(munmap(two + 4096, 4096));
	t_put(t_at("f"), "x");
	/* Ending exactly at the edge is good ... */
	char *path = two + 4096 - len - 1;

	memcpy(path, t_at("f"), len + 1);
	CHECK_OK(stat(path, &st));
	/* ... and running over it is not. */
	path = two + 4096 - len;
	memcpy(path, t_at("f"), len);
	CHECK_ERRNO(stat(path, &st), EFAULT);
	CHECK_ERRNO(open(path, O_RDONLY), EFAULT);
	memset(two, 'a', 4096);
	two[0] = '/';
	CHECK_ERRNO2(stat(two, &st), EFAULT, ENAMETOOLONG);
	CHECK_OK(munmap(two, 4096));
}

static void buffers(void)
{
	struct iovec good_then_bad[2];
	char four[4];

	t_put(t_at("f"), "0123456789");
	int fd = MUST(open(t_at("f"), O_RDWR));

	for (int i = 0; i < T_BAD_POINTERS; i++) {
		CHECK_ERRNO(fstat(fd, t_bad_pointer(i)), EFAULT);
		CHECK_ERRNO(stat(t_at("f"), t_bad_pointer(i)), EFAULT);
		good_then_bad[0] = (struct iovec){four, 4};
		good_then_bad[1] = (struct iovec){t_bad_pointer(i), 4};
		ssize_t n = preadv(fd, good_then_bad, 2, 0);

		/* Linux: what fits is delivered; EFAULT is legal as well. */
		CHECK(n == 4 || (n == -1 && errno == EFAULT));
	}
	/* A buffer that ends in the middle. */
	char *two = MUST_PTR(mmap(NULL, 8192, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

	MUST(munmap(two + 4096, 4096));
	ssize_t n = pread(fd, two + 4096 - 4, 10, 0);

	CHECK(n == 4 || (n == -1 && errno == EFAULT));
	/* One that may not be written. */
	MUST(mprotect(two, 4096, PROT_READ));
	CHECK_ERRNO(pread(fd, two, 4, 0), EFAULT);
	CHECK_ERRNO(fstat(fd, (struct stat *)two), EFAULT);
	MUST(munmap(two, 4096));
	CHECK_FILE(t_at("f"), "0123456789");
	CHECK_OK(close(fd));
}

static void null(void)
{
	const char *volatile none = NULL;
	struct stat st;

	CHECK_ERRNO(open(none, O_RDONLY), EFAULT);
	CHECK_ERRNO(stat(none, &st), EFAULT);
	CHECK_ERRNO(access(none, F_OK), EFAULT);
	CHECK_ERRNO(unlink(none), EFAULT);
	CHECK_ERRNO(mkdir(none, 0755), EFAULT);
	int dir = MUST(open(t_dir, O_RDONLY));

	CHECK_ERRNO(openat(dir, none, O_RDONLY), EFAULT);
	CHECK_ERRNO(unlinkat(dir, none, 0), EFAULT);
	CHECK_OK(close(dir));
}

T_MAIN(CASE(paths), CASE(at_the_edge), CASE(buffers), CASE(null))
