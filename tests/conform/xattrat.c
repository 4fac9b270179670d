/* The kernel's newer calls for extended attributes, from a directory. */
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include "t.h"

#ifndef SYS_setxattrat
#define SYS_setxattrat 463
#define SYS_getxattrat 464
#define SYS_listxattrat 465
#define SYS_removexattrat 466
#endif

struct args {
	uint64_t value;
	uint32_t size, flags;
};

static char got[64];

static bool known(void)
{
	return syscall(SYS_listxattrat, -1, "x", 0, NULL, 0) == 0 ||
	       errno != ENOSYS;
}

static long set(int dir, const char *path, unsigned int at, const char *name,
		const char *value, unsigned int flags)
{
	struct args a = {(uintptr_t)value, strlen(value), flags};

	return syscall(SYS_setxattrat, dir, path, at, name, &a, sizeof(a));
}

static long get(int dir, const char *path, unsigned int at, const char *name)
{
	struct args a = {(uintptr_t)got, sizeof(got), 0};

	return syscall(SYS_getxattrat, dir, path, at, name, &a, sizeof(a));
}

static void by_directory(void)
{
	if (!known())
		SKIP_CASE("an older kernel");
	t_put(t_at("f"), "x");
	int dir = MUST(open(t_dir, O_RDONLY));
	int fd = MUST(open(t_at("f"), O_RDONLY));

	CHECK_OK(set(dir, "f", 0, "user.a", "one", 0));
	CHECK_EQ(get(dir, "f", 0, "user.a"), 3);
	CHECK_MEM(got, "one", 3);
	CHECK_ERRNO(set(dir, "f", 0, "user.a", "two", XATTR_CREATE), EEXIST);
	CHECK_ERRNO(set(dir, "f", 0, "user.b", "two", XATTR_REPLACE), ENODATA);
	CHECK_OK(set(fd, "", AT_EMPTY_PATH, "user.a", "three", XATTR_REPLACE));
	CHECK_EQ(getxattr(t_at("f"), "user.a", got, sizeof(got)), 5);
	CHECK_MEM(got, "three", 5);
	CHECK_EQ(get(fd, "", AT_EMPTY_PATH, "user.a"), 5);
	CHECK_OK(setxattr(t_at("f"), "user.b", "x", 1, 0));
	long n = syscall(SYS_listxattrat, dir, "f", 0, got, sizeof(got));

	CHECK_EQ(n, 14);
	CHECK(memmem(got, n, "user.a", 7) && memmem(got, n, "user.b", 7));
	CHECK_OK(syscall(SYS_removexattrat, dir, "f", 0, "user.a"));
	CHECK_ERRNO(get(dir, "f", 0, "user.a"), ENODATA);
	CHECK_OK(lremovexattr(t_at("f"), "user.b"));
	CHECK_EQ(listxattr(t_at("f"), NULL, 0), 0);
	CHECK_OK(close(fd));
	CHECK_OK(close(dir));
}

static void arguments(void)
{
	struct {
		struct args a;
		uint64_t more;
	} big = {{(uintptr_t) "one", 3, 0}, 0};

	if (!known())
		SKIP_CASE("an older kernel");
	t_put(t_at("f"), "x");
	CHECK_OK(syscall(SYS_setxattrat, AT_FDCWD, t_at("f"), 0, "user.a", &big,
			 sizeof(big)));
	big.more = 1;
	CHECK_ERRNO(syscall(SYS_setxattrat, AT_FDCWD, t_at("f"), 0, "user.a",
			    &big, sizeof(big)),
		    E2BIG);
	CHECK_ERRNO(syscall(SYS_setxattrat, AT_FDCWD, t_at("f"), 0, "user.a",
			    &big, 8),
		    EINVAL);
	CHECK_ERRNO(syscall(SYS_setxattrat, AT_FDCWD, t_at("f"), 0, "user.a",
			    &big, 5000),
		    E2BIG);
	CHECK_ERRNO(set(AT_FDCWD, t_at("f"), 0x4, "user.a", "x", 0), EINVAL);
	CHECK_ERRNO(set(AT_FDCWD, t_at("f"), 0, "user.a", "x", 8), EINVAL);
	big.a.flags = 1;
	CHECK_ERRNO(syscall(SYS_getxattrat, AT_FDCWD, t_at("f"), 0, "user.a",
			    &big.a, sizeof(big.a)),
		    EINVAL);
	CHECK_ERRNO(syscall(SYS_getxattrat, AT_FDCWD, t_at("f"), 0, "user.a",
			    t_bad_pointer(1), sizeof(big.a)),
		    EFAULT);
	CHECK_ERRNO(get(AT_FDCWD, t_at("none"), 0, "user.a"), ENOENT);
	CHECK_ERRNO(get(-1, "f", 0, "user.a"), EBADF);
}

T_MAIN(CASE(by_directory), CASE(arguments))
