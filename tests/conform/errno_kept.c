/* A call that succeeds leaves errno alone. */
#include <dirent.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include "t.h"

#define KEEPS(expr)                                                            \
	do {                                                                   \
		errno = 4242;                                                  \
		long long t_got = (long long)(expr);                           \
		int t_errno = errno;                                           \
		if (t_got == -1 || t_errno != 4242)                            \
			t_fail(T_HERE, "%s is %lld, errno became %d", #expr,   \
			       t_got, t_errno);                                \
	} while (0)

static void by_descriptor(void)
{
	char c = 'x';
	struct stat st;
	struct iovec v = {&c, 1};
	int fd, twin;

	KEEPS(fd = open(t_at("f"), O_RDWR | O_CREAT, 0644));
	KEEPS(write(fd, &c, 1));
	KEEPS(pwrite(fd, &c, 1, 0));
	KEEPS(pread(fd, &c, 1, 0));
	KEEPS(lseek(fd, 0, SEEK_SET));
	KEEPS(read(fd, &c, 1));
	KEEPS(read(fd, &c, 1));
	KEEPS(writev(fd, &v, 1));
	KEEPS(preadv(fd, &v, 1, 0));
	KEEPS(fstat(fd, &st));
	KEEPS(ftruncate(fd, 10));
	KEEPS(fsync(fd));
	KEEPS(fchmod(fd, 0600));
	KEEPS(futimens(fd, NULL));
	KEEPS(fcntl(fd, F_GETFL));
	KEEPS(fcntl(fd, F_SETFD, FD_CLOEXEC));
	KEEPS(twin = dup(fd));
	KEEPS(dup2(fd, twin));
	KEEPS(posix_fadvise(fd, 0, 0, POSIX_FADV_NORMAL));
	KEEPS(close(twin));
	KEEPS(close(fd));
}

static void by_path(void)
{
	char buf[PATH_MAX];
	struct stat st;
	struct statvfs vfs;

	t_put(t_at("f"), "x");
	KEEPS(stat(t_at("f"), &st));
	KEEPS(lstat(t_at("f"), &st));
	KEEPS(access(t_at("f"), R_OK));
	KEEPS(chmod(t_at("f"), 0644));
	KEEPS(truncate(t_at("f"), 5));
	KEEPS(mkdir(t_at("d"), 0755));
	KEEPS(rename(t_at("f"), t_at("d/g")));
	KEEPS(symlink("d/g", t_at("l")));
	KEEPS(readlink(t_at("l"), buf, sizeof(buf)));
	KEEPS(setxattr(t_at("d/g"), "user.a", "1", 1, 0));
	KEEPS(getxattr(t_at("d/g"), "user.a", buf, 8));
	KEEPS(listxattr(t_at("d/g"), buf, sizeof(buf)));
	KEEPS(statvfs(t_dir, &vfs));
	KEEPS(chdir(t_at("d")));
	KEEPS(getcwd(buf, sizeof(buf)) ? 0 : -1);
	KEEPS(chdir("/"));
	KEEPS(unlink(t_at("l")));
	KEEPS(unlink(t_at("d/g")));
	KEEPS(rmdir(t_at("d")));
}

static void of_streams(void)
{
	t_put(t_at("f"), "x");
	DIR *dir = MUST_PTR(opendir(t_dir));

	KEEPS(readdir(dir) ? 0 : -1);
	while (readdir(dir))
		;
	KEEPS(readdir(dir) == NULL ? 0 : -1);
	KEEPS(closedir(dir));
	int fd = MUST(open(t_at("f"), O_RDWR));
	void *m;

	KEEPS((long)(m = mmap(NULL, 1, PROT_READ, MAP_SHARED, fd, 0)));
	KEEPS(munmap(m, 1));
	KEEPS(close(fd));
}

T_MAIN(CASE(by_descriptor), CASE(by_path), CASE(of_streams))
