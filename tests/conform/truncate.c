/* truncate(2), ftruncate(2): shrink, grow, at the edges of DFS chunks. */
#include "t.h"

static void by_path_and_descriptor(void)
{
	t_put(t_at("f"), "0123456789");
	CHECK_OK(truncate(t_at("f"), 4));
	CHECK_FILE(t_at("f"), "0123");
	CHECK_OK(truncate(t_at("f"), 6));
	CHECK_FILE_MEM(t_at("f"), "0123\0\0", 6);
	int fd = MUST(open(t_at("f"), O_RDWR));

	CHECK_EQ(lseek(fd, 3, SEEK_SET), 3);
	CHECK_OK(ftruncate(fd, 2));
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 3);
	CHECK_FILE(t_at("f"), "01");
	CHECK_OK(ftruncate(fd, 2));
	CHECK_OK(ftruncate(fd, 0));
	CHECK_EQ(t_size(t_at("f")), 0);
	/* The offset stands beyond: a hole. */
	CHECK_EQ(write(fd, "x", 1), 1);
	CHECK_FILE_MEM(t_at("f"), "\0\0\0x", 4);
	CHECK_OK(close(fd));
	MUST(symlink("f", t_at("l")));
	CHECK_OK(truncate(t_at("l"), 1));
	CHECK_EQ(t_size(t_at("f")), 1);
	MUST(chdir(t_dir));
	CHECK_OK(truncate("f", 0));
	CHECK_EQ(t_size(t_at("f")), 0);
}

static void old_bytes_do_not_return(void)
{
	char got[10];
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	CHECK_EQ(write(fd, "0123456789", 10), 10);
	CHECK_OK(ftruncate(fd, 3));
	CHECK_OK(ftruncate(fd, 10));
	CHECK_EQ(pread(fd, got, 10, 0), 10);
	CHECK_MEM(got, "012\0\0\0\0\0\0\0", 10);
	CHECK_OK(close(fd));
}

static void chunk_edges(void)
{
	static const off_t chunk = 1 << 20;
	static const off_t to[] = {0, 1, 4095, 4096, 4097};
	char want[64], got[64];
	char *data = MUST_PTR(malloc(3 * chunk + 100));

	t_fill(data, 3 * chunk + 100, 0, 3);
	for (int k = 0; k <= 3; k++) {
		for (int i = 0; i < 5; i++) {
			for (int minus = 0; minus < 2; minus++) {
				off_t size =
					k * chunk + (minus ? -to[i] : to[i]);

				if (size < 0 || size > 3 * chunk + 100)
					continue;
				t_put_mem(t_at("f"), data, 3 * chunk + 100);
				int fd = MUST(open(t_at("f"), O_RDWR));

				CHECK_OK(ftruncate(fd, size));
				CHECK_EQ(t_size(t_at("f")), size);
				CHECK_EQ(lseek(fd, 0, SEEK_END), size);
				CHECK_EQ(pread(fd, got, 64, size), 0);
				if (size >= 64) {
					CHECK_EQ(pread(fd, got, 64, size - 64),
						 64);
					CHECK_MEM(got, data + size - 64, 64);
				}
				/* Growing again shows zeros. */
				CHECK_OK(ftruncate(fd, size + 64));
				memset(want, 0, 64);
				CHECK_EQ(pread(fd, got, 64, size), 64);
				CHECK_MEM(got, want, 64);
				CHECK_OK(close(fd));
			}
		}
	}
	free(data);
}

static void grows_sparse(void)
{
	char c = 'x';
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	CHECK_OK(ftruncate(fd, 5L << 30));
	CHECK_EQ(t_size(t_at("f")), 5L << 30);
	CHECK_EQ(pread(fd, &c, 1, (5L << 30) - 1), 1);
	CHECK_EQ(c, 0);
	CHECK_EQ(pwrite(fd, "e", 1, (5L << 30) - 1), 1);
	CHECK_EQ(t_size(t_at("f")), 5L << 30);
	CHECK_OK(ftruncate(fd, 10));
	CHECK_EQ(t_size(t_at("f")), 10);
	CHECK_OK(close(fd));
}

static void errors(void)
{
	t_put(t_at("f"), "x");
	MUST(mkdir(t_at("d"), 0755));
	CHECK_ERRNO(truncate(t_at("f"), -1), EINVAL);
	CHECK_ERRNO(truncate(t_at("none"), 0), ENOENT);
	CHECK_ERRNO(truncate(t_at("d"), 0), EISDIR);
	CHECK_ERRNO(truncate(t_at("f/x"), 0), ENOTDIR);
	CHECK_ERRNO(truncate(t_bad_pointer(1), 0), EFAULT);
	CHECK_ERRNO(ftruncate(-1, 0), EBADF);
	int fd = MUST(open(t_at("f"), O_RDWR));

	CHECK_ERRNO(ftruncate(fd, -1), EINVAL);
	CHECK_OK(close(fd));
	fd = MUST(open(t_at("f"), O_RDONLY));
	CHECK_ERRNO2(ftruncate(fd, 0), EINVAL, EBADF);
	CHECK_OK(close(fd));
	fd = MUST(open(t_at("d"), O_RDONLY));
	CHECK_ERRNO2(ftruncate(fd, 0), EINVAL, EBADF);
	CHECK_OK(close(fd));
	if (!t_root()) {
		MUST(chmod(t_at("f"), 0444));
		CHECK_ERRNO(truncate(t_at("f"), 0), EACCES);
	}
	CHECK_EQ(t_size(t_at("f")), 1);
}

T_MAIN(CASE(by_path_and_descriptor), CASE(old_bytes_do_not_return),
       CASE(chunk_edges), CASE(grows_sparse), CASE(errors))
