/*
 * A file system that may be read only: every change is EROFS, in the
 * kernel's order of errors. Where it may still be written the program makes
 * what it needs; the runner then closes it and runs the program again
 * (read_only@ro).
 */
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <utime.h>
#include "t.h"

/* False, once, while things can still be made. */
static bool closed(void)
{
	struct statvfs vfs;

	MUST(statvfs(t_base, &vfs));
	if (vfs.f_flag & ST_RDONLY)
		return true;
	t_put(t_at("f"), "0123456789");
	MUST(mkdir(t_at("d"), 0755));
	t_put(t_at("d/f"), "below");
	MUST(symlink("f", t_at("l")));
	MUST(symlink("none", t_at("dangling")));
	t_put(t_at("x"), "#!/bin/true\n");
	MUST(chmod(t_at("x"), 0755));
	t_put(t_at("secret"), "x");
	MUST(chmod(t_at("secret"), 0));
	return false;
}

static void reading_goes_on(void)
{
	char got[16];
	struct stat st;

	if (!closed())
		return;
	CHECK_FILE(t_at("f"), "0123456789");
	CHECK_FILE(t_at("d/f"), "below");
	CHECK_FILE(t_at("l"), "0123456789");
	CHECK_OK(stat(t_at("f"), &st));
	CHECK_EQ(st.st_size, 10);
	CHECK_EQ(readlink(t_at("l"), got, sizeof(got)), 1);
	CHECK_OK(access(t_at("f"), R_OK));
	CHECK_OK(access(t_at("x"), X_OK));
	CHECK_OK(chdir(t_at("d")));
	CHECK_FILE("f", "below");
	int fd = MUST(open(t_at("f"), O_RDONLY));
	char *map = mmap(NULL, 10, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);

	CHECK(map != MAP_FAILED);
	if (map != MAP_FAILED) {
		CHECK_MEM(map, "0123456789", 10);
		map[0] = 'x';
		CHECK_OK(munmap(map, 10));
	}
	CHECK(mmap(NULL, 10, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) ==
	      MAP_FAILED);
	CHECK_EQ(errno, EACCES);
	CHECK_OK(fsync(fd));
	CHECK_ERRNO(write(fd, "x", 1), EBADF);
	CHECK_ERRNO2(ftruncate(fd, 0), EINVAL, EBADF);
	CHECK_ERRNO(fallocate(fd, 0, 0, 10), EBADF);
	CHECK_OK(close(fd));
}

static void opening(void)
{
	if (!closed())
		return;
	CHECK_ERRNO(open(t_at("f"), O_WRONLY), EROFS);
	CHECK_ERRNO(open(t_at("f"), O_RDWR), EROFS);
	CHECK_ERRNO(open(t_at("f"), O_RDONLY | O_TRUNC), EROFS);
	CHECK_ERRNO(open(t_at("l"), O_WRONLY), EROFS);
	CHECK_ERRNO(open(t_at("new"), O_WRONLY | O_CREAT, 0644), EROFS);
	CHECK_ERRNO(open(t_at("new"), O_RDONLY | O_CREAT, 0644), EROFS);
	CHECK_ERRNO(open(t_at("new"), O_RDWR | O_CREAT | O_EXCL, 0644), EROFS);
	CHECK_ERRNO(open(t_at("dangling"), O_WRONLY | O_CREAT, 0644), EROFS);
	CHECK_ERRNO(open(t_at("none/new"), O_WRONLY | O_CREAT, 0644), ENOENT);
	CHECK_ERRNO(open(t_at("f/new"), O_WRONLY | O_CREAT, 0644), ENOTDIR);
	/* What is there is there. */
	CHECK_ERRNO(open(t_at("f"), O_RDWR | O_CREAT | O_EXCL, 0644), EEXIST);
	CHECK_OK(close(open(t_at("f"), O_RDONLY | O_CREAT, 0644)));
	CHECK_ERRNO(open(t_at("f"), O_WRONLY | O_CREAT, 0644), EROFS);
	CHECK_ERRNO(open(t_at("d"), O_WRONLY), EISDIR);
	CHECK_ERRNO(open(t_at("none"), O_WRONLY), ENOENT);
	/* The file system is asked before the mode. */
	CHECK_ERRNO(open(t_at("secret"), O_WRONLY), EROFS);
	CHECK_OK(close(open(t_at("f"), O_PATH)));
	CHECK_ERRNO2(open(t_dir, O_TMPFILE | O_RDWR, 0644), EROFS, EOPNOTSUPP);
	char name[] = "XXXXXX", path[PATH_MAX];

	t_into(path, "%s", name);
	CHECK_ERRNO(mkstemp(path), EROFS);
	CHECK(!fopen(t_at("f"), "r+"));
	CHECK_EQ(errno, EROFS);
}

static void names(void)
{
	if (!closed())
		return;
	CHECK_ERRNO(mkdir(t_at("new"), 0755), EROFS);
	CHECK_ERRNO(mkdir(t_at("new/"), 0755), EROFS);
	CHECK_ERRNO(mkdir(t_at("d"), 0755), EEXIST);
	CHECK_ERRNO(mkdir(t_at("f"), 0755), EEXIST);
	CHECK_ERRNO(mkdir(t_at("none/new"), 0755), ENOENT);
	CHECK_ERRNO(mknod(t_at("new"), S_IFREG | 0644, 0), EROFS);
	CHECK_ERRNO(mknod(t_at("f"), S_IFREG | 0644, 0), EEXIST);
	CHECK_ERRNO(mkfifo(t_at("new"), 0644), EROFS);
	CHECK_ERRNO(symlink("f", t_at("new")), EROFS);
	CHECK_ERRNO(symlink("f", t_at("l")), EEXIST);
	CHECK_ERRNO(link(t_at("f"), t_at("new")), EROFS);
	CHECK_ERRNO(link(t_at("none"), t_at("new")), ENOENT);
	CHECK_ERRNO(unlink(t_at("f")), EROFS);
	CHECK_ERRNO(unlink(t_at("none")), EROFS);
	CHECK_ERRNO(unlink(t_at("d")), EROFS);
	CHECK_ERRNO(unlink(t_at("none/f")), ENOENT);
	CHECK_ERRNO(rmdir(t_at("d")), EROFS);
	CHECK_ERRNO(rmdir(t_at("d/.")), EINVAL);
	CHECK_ERRNO(rename(t_at("f"), t_at("g")), EROFS);
	CHECK_ERRNO(rename(t_at("f"), t_at("f")), EROFS);
	CHECK_ERRNO(rename(t_at("none"), t_at("g")), EROFS);
	CHECK_ERRNO(rename(t_at("none/f"), t_at("g")), ENOENT);
	CHECK_ERRNO(rename(t_at("f"), t_at("d/..")), EBUSY);
	CHECK_ERRNO(renameat2(AT_FDCWD, t_at("f"), AT_FDCWD, t_at("x"),
			      RENAME_EXCHANGE),
		    EROFS);
	CHECK_ERRNO(renameat2(AT_FDCWD, t_at("f"), AT_FDCWD, t_at("g"),
			      RENAME_NOREPLACE),
		    EROFS);
	CHECK_ERRNO(remove(t_at("f")), EROFS);
}

static void attributes(void)
{
	struct timespec ts[2] = {{1, 0}, {2, 0}};
	struct timeval tv[2] = {{1, 0}, {2, 0}};
	struct utimbuf old = {1, 2};

	if (!closed())
		return;
	CHECK_ERRNO(chmod(t_at("f"), 0600), EROFS);
	CHECK_ERRNO(chmod(t_at("f"), 0644), EROFS);
	CHECK_ERRNO(chmod(t_at("none"), 0600), ENOENT);
	CHECK_ERRNO(chown(t_at("f"), geteuid(), getegid()), EROFS);
	CHECK_ERRNO(lchown(t_at("l"), geteuid(), getegid()), EROFS);
	CHECK_ERRNO(chown(t_at("f"), -1, -1), EROFS);
	CHECK_ERRNO(utimensat(AT_FDCWD, t_at("f"), ts, 0), EROFS);
	CHECK_ERRNO(utimensat(AT_FDCWD, t_at("l"), ts, AT_SYMLINK_NOFOLLOW),
		    EROFS);
	CHECK_ERRNO(utimensat(AT_FDCWD, t_at("f"), NULL, 0), EROFS);
	CHECK_ERRNO(utimes(t_at("f"), tv), EROFS);
	CHECK_ERRNO(utime(t_at("f"), &old), EROFS);
	CHECK_ERRNO(truncate(t_at("f"), 0), EROFS);
	CHECK_ERRNO(truncate(t_at("d"), 0), EISDIR);
	CHECK_ERRNO(truncate(t_at("secret"), 0), EROFS);
	int fd = MUST(open(t_at("f"), O_RDONLY));

	CHECK_ERRNO(fchmod(fd, 0600), EROFS);
	CHECK_ERRNO(fchown(fd, geteuid(), getegid()), EROFS);
	CHECK_ERRNO(futimens(fd, NULL), EROFS);
	CHECK_ERRNO(fsetxattr(fd, "user.a", "b", 1, 0), EROFS);
	CHECK_OK(close(fd));
	CHECK_ERRNO(setxattr(t_at("f"), "user.a", "b", 1, 0), EROFS);
	CHECK_ERRNO(removexattr(t_at("f"), "user.a"), EROFS);
}

static void access_says_so(void)
{
	if (!closed())
		return;
	CHECK_ERRNO(access(t_at("f"), W_OK), EROFS);
	CHECK_ERRNO(access(t_at("d"), W_OK), EROFS);
	CHECK_ERRNO(access(t_at("f"), R_OK | W_OK), EROFS);
	CHECK_ERRNO(access(t_at("secret"), W_OK), EROFS);
	CHECK_ERRNO(access(t_at("none"), W_OK), ENOENT);
	CHECK_ERRNO(faccessat(AT_FDCWD, t_at("l"), W_OK, AT_SYMLINK_NOFOLLOW),
		    EROFS);
	CHECK_ERRNO(eaccess(t_at("f"), W_OK), EROFS);
	CHECK_OK(access(t_at("f"), F_OK));
}

static void open_files(void)
{
	if (!closed())
		return;
	int dir = MUST(open(t_dir, O_RDONLY | O_DIRECTORY));

	CHECK_ERRNO(openat(dir, "new", O_WRONLY | O_CREAT, 0644), EROFS);
	CHECK_ERRNO(mkdirat(dir, "new", 0755), EROFS);
	CHECK_ERRNO(unlinkat(dir, "f", 0), EROFS);
	CHECK_ERRNO(unlinkat(dir, "d", AT_REMOVEDIR), EROFS);
	CHECK_ERRNO(renameat(dir, "f", dir, "g"), EROFS);
	CHECK_ERRNO(fchmodat(dir, "f", 0600, 0), EROFS);
	CHECK_ERRNO(symlinkat("f", dir, "new"), EROFS);
	/* A descriptor opened again for writing. */
	char name[64];
	int fd = MUST(open(t_at("f"), O_RDONLY));

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	CHECK_ERRNO(open(name, O_RDWR), EROFS);
	CHECK_ERRNO(chmod(name, 0600), EROFS);
	CHECK_ERRNO(truncate(name, 0), EROFS);
	CHECK_OK(close(fd));
	CHECK_OK(close(dir));
}

T_MAIN(CASE(reading_goes_on), CASE(opening), CASE(names), CASE(attributes),
       CASE(access_says_so), CASE(open_files))
