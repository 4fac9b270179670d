/* O_PATH (open(2)): which calls its descriptor serves, and which answer EBADF; and mmap's order of errors. */
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/statfs.h>
#include <sys/xattr.h>
#include "t.h"

static int path_of_file(void)
{
	t_put(t_at("f"), "abc");
	return MUST(open(t_at("f"), O_PATH));
}

static void no_data(void)
{
	char c[8] = "";
	off_t at = 0;
	int fd = path_of_file(),
	    other = MUST(open(t_at("g"), O_RDWR | O_CREAT, 0644));

	CHECK_ERRNO(pread(fd, c, 1, 0), EBADF);
	CHECK_ERRNO(pwrite(fd, c, 1, 0), EBADF);
	CHECK_ERRNO(ftruncate(fd, 0), EBADF);
	CHECK_ERRNO(fallocate(fd, 0, 0, 1), EBADF);
	CHECK_EQ(posix_fadvise(fd, 0, 0, POSIX_FADV_NORMAL), EBADF);
	CHECK_ERRNO(readahead(fd, 0, 1), EBADF);
	CHECK_ERRNO(fsync(fd), EBADF);
	CHECK_ERRNO(fdatasync(fd), EBADF);
	CHECK_ERRNO(syncfs(fd), EBADF);
	CHECK_ERRNO(sync_file_range(fd, 0, 0, 0), EBADF);
	CHECK_ERRNO(sendfile(other, fd, &at, 1), EBADF);
	CHECK_ERRNO(sendfile(fd, other, &at, 1), EBADF);
	CHECK_ERRNO(copy_file_range(fd, NULL, other, NULL, 1, 0), EBADF);
	CHECK_ERRNO(copy_file_range(other, NULL, fd, NULL, 1, 0), EBADF);
	CHECK(mmap(NULL, 3, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED &&
	      errno == EBADF);
	CHECK_FILE(t_at("f"), "abc");
	CHECK_OK(close(fd));
	CHECK_OK(close(other));
}

static void no_attributes_by_number(void)
{
	char c[8];
	int fd = path_of_file();

	CHECK_ERRNO(fchmod(fd, 0600), EBADF);
	CHECK_ERRNO(fchown(fd, getuid(), getgid()), EBADF);
	CHECK_ERRNO(fchown(fd, -1, -1), EBADF);
	CHECK_ERRNO(futimens(fd, NULL), EBADF);
	CHECK_ERRNO(fsetxattr(fd, "user.a", "b", 1, 0), EBADF);
	CHECK_ERRNO(fgetxattr(fd, "user.a", c, 8), EBADF);
	CHECK_ERRNO(flistxattr(fd, c, 8), EBADF);
	CHECK_ERRNO(fremovexattr(fd, "user.a"), EBADF);
	CHECK_ERRNO(flock(fd, LOCK_SH), EBADF);
	CHECK_ERRNO(fcntl(fd, F_SETFL, O_APPEND), EBADF);
	CHECK_EQ(t_mode(t_at("f")), S_IFREG | 0644);
	CHECK_OK(close(fd));
}

static void what_it_serves(void)
{
	struct stat st;
	struct statfs fs;
	int fd = path_of_file();

	CHECK_OK(fstat(fd, &st));
	CHECK_EQ(st.st_size, 3);
	CHECK_OK(fstatat(fd, "", &st, AT_EMPTY_PATH));
	CHECK_OK(fstatfs(fd, &fs));
	CHECK_OK(faccessat(fd, "", R_OK, AT_EMPTY_PATH));
	CHECK_OK(fchownat(fd, "", getuid(), getgid(), AT_EMPTY_PATH));
	CHECK_OK(fchownat(fd, "", -1, -1, AT_EMPTY_PATH));
	CHECK(fcntl(fd, F_GETFL) & O_PATH);
	CHECK_EQ(fcntl(fd, F_GETFD), 0);
	CHECK_OK(close(fd));
}

/* The kind of a map is looked at before whether the file may be read. */
static void maps(void)
{
	t_put(t_at("f"), "abc");
	int fd = MUST(open(t_at("f"), O_WRONLY));

	CHECK(mmap(NULL, 3, PROT_READ, 0, fd, 0) == MAP_FAILED &&
	      errno == EINVAL);
	CHECK(mmap(NULL, 0, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED &&
	      errno == EINVAL);
	CHECK(mmap(NULL, 3, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED &&
	      errno == EACCES);
	CHECK_OK(close(fd));
}

/* F_CREATED_QUERY, where the kernel knows it: did this open make the file? */
static void created(void)
{
	const int query = 1028; /* F_LINUX_SPECIFIC_BASE + 4 */
	int fd = MUST(open(t_at("new"), O_RDWR | O_CREAT, 0644)),
	    twin = MUST(dup(fd));
	int again = MUST(open(t_at("new"), O_RDWR | O_CREAT, 0644));

	if (fcntl(fd, query, 0) < 0 && errno == EINVAL)
		SKIP_CASE("no F_CREATED_QUERY in this kernel");
	CHECK_EQ(fcntl(fd, query, 0), 1);
	CHECK_EQ(fcntl(twin, query, 0), 1);
	CHECK_EQ(fcntl(again, query, 0), 0);
	CHECK_OK(close(fd));
	CHECK_OK(close(twin));
	CHECK_OK(close(again));
	fd = MUST(open(t_at("excl"), O_RDWR | O_CREAT | O_EXCL, 0644));
	CHECK_EQ(fcntl(fd, query, 0), 1);
	CHECK_OK(close(fd));
}

T_MAIN(CASE(no_data), CASE(no_attributes_by_number), CASE(what_it_serves),
       CASE(maps), CASE(created))
