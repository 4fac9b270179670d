/*
 * Every other spelling of the calls: libc's names with 64, with underscores,
 * the checked ones and those of old binaries, each looked up by its name.
 */
#include <dlfcn.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include "t.h"

static char got[64];

/* The function of that name, or NULL where this libc has none. */
#define NAMED(type, name, ...) ((type(*)(__VA_ARGS__))dlsym(RTLD_DEFAULT, name))

/* One fresh descriptor of "f", opened by `expr` through the pointer `fn`. */
#define OPENS(name, type, call, ...)                                           \
	do {                                                                   \
		type (*fn)(__VA_ARGS__) = NAMED(type, name, __VA_ARGS__);      \
		if (fn) {                                                      \
			int fd = MUST(call);                                   \
			CHECK_OK(fcntl(fd, F_GETFL));                          \
			CHECK_OK(close(fd));                                   \
		}                                                              \
	} while (0)

static void opening(void)
{
	char *f = t_at("f"), *g = t_at("g");
	int dir = MUST(open(t_dir, O_RDONLY | O_DIRECTORY));

	OPENS("creat64", int, fn(f, 0644), const char *, mode_t);
	CHECK(t_exists(f));
	OPENS("open64", int, fn(f, O_RDONLY), const char *, int, ...);
	OPENS("__open", int, fn(f, O_RDONLY), const char *, int, ...);
	OPENS("__open64", int, fn(f, O_RDONLY), const char *, int, ...);
	OPENS("__open_2", int, fn(f, O_RDWR), const char *, int);
	OPENS("__open64_2", int, fn(f, O_RDWR), const char *, int);
	OPENS("openat64", int, fn(dir, "f", O_RDONLY), int, const char *, int,
	      ...);
	OPENS("__openat_2", int, fn(dir, "f", O_RDONLY), int, const char *,
	      int);
	OPENS("__openat64_2", int, fn(dir, "f", O_RDONLY), int, const char *,
	      int);
	OPENS("open64", int, fn(g, O_RDWR | O_CREAT, 0600), const char *, int,
	      ...);
	CHECK_EQ(t_mode(g), S_IFREG | 0600);
	OPENS("openat64", int, fn(dir, "h", O_RDWR | O_CREAT, 0640), int,
	      const char *, int, ...);
	CHECK_EQ(t_mode(t_at("h")), S_IFREG | 0640);
	CHECK_OK(close(dir));
}

/* Reads 3 bytes of "abcdef" from where it says. */
#define READS(name, want, call, ...)                                           \
	do {                                                                   \
		ssize_t (*fn)(__VA_ARGS__) =                                   \
			NAMED(ssize_t, name, __VA_ARGS__);                     \
		if (fn) {                                                      \
			MUST(lseek(fd, 0, SEEK_SET));                          \
			memset(got, 0, sizeof(got));                           \
			CHECK_EQ(call, 3);                                     \
			CHECK_MEM(got, want, 3);                               \
		}                                                              \
	} while (0)

static void reading(void)
{
	struct iovec v = {got, 3};

	t_put(t_at("f"), "abcdef");
	int fd = MUST(open(t_at("f"), O_RDWR));

	READS("__read", "abc", fn(fd, got, 3), int, void *, size_t);
	READS("__read_chk", "abc", fn(fd, got, 3, 64), int, void *, size_t,
	      size_t);
	READS("pread64", "cde", fn(fd, got, 3, 2), int, void *, size_t, off_t);
	READS("__pread64", "cde", fn(fd, got, 3, 2), int, void *, size_t,
	      off_t);
	READS("__pread_chk", "cde", fn(fd, got, 3, 2, 64), int, void *, size_t,
	      off_t, size_t);
	READS("__pread64_chk", "cde", fn(fd, got, 3, 2, 64), int, void *,
	      size_t, off_t, size_t);
	READS("preadv64", "def", fn(fd, &v, 1, 3), int, const struct iovec *,
	      int, off_t);
	READS("preadv64v2", "def", fn(fd, &v, 1, 3, 0), int,
	      const struct iovec *, int, off_t, int);
	CHECK_OK(close(fd));
}

/* Writes "XYZ" at 2 of "abcdef". */
#define WRITES(name, call, ...)                                                \
	do {                                                                   \
		ssize_t (*fn)(__VA_ARGS__) =                                   \
			NAMED(ssize_t, name, __VA_ARGS__);                     \
		if (fn) {                                                      \
			t_put(t_at("f"), "abcdef");                            \
			MUST(lseek(fd, 2, SEEK_SET));                          \
			CHECK_EQ(call, 3);                                     \
			CHECK_FILE(t_at("f"), "abXYZf");                       \
		}                                                              \
	} while (0)

static void writing(void)
{
	struct iovec v = {"XYZ", 3};
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	WRITES("__write", fn(fd, "XYZ", 3), int, const void *, size_t);
	WRITES("pwrite64", fn(fd, "XYZ", 3, 2), int, const void *, size_t,
	       off_t);
	WRITES("__pwrite64", fn(fd, "XYZ", 3, 2), int, const void *, size_t,
	       off_t);
	WRITES("pwritev64", fn(fd, &v, 1, 2), int, const struct iovec *, int,
	       off_t);
	WRITES("pwritev64v2", fn(fd, &v, 1, 2, 0), int, const struct iovec *,
	       int, off_t, int);
	CHECK_OK(close(fd));
}

static void descriptors(void)
{
	t_put(t_at("f"), "abcdef");
	int fd = MUST(open(t_at("f"), O_RDWR)), other;
	int (*close_it)(int) = NAMED(int, "__close", int);
	int (*dup_it)(int, int) = NAMED(int, "__dup2", int, int);
	int (*fcntl_it)(int, int, ...) = NAMED(int, "fcntl64", int, int, ...);
	int (*fcntl_too)(int, int, ...) = NAMED(int, "__fcntl", int, int, ...);
	off_t (*seek)(int, off_t, int) =
		NAMED(off_t, "lseek64", int, off_t, int);
	off_t (*seek_too)(int, off_t, int) =
		NAMED(off_t, "__lseek", int, off_t, int);
	int (*range)(unsigned int, unsigned int, int) =
		NAMED(int, "close_range", unsigned int, unsigned int, int);

	CHECK_EQ(seek(fd, 4, SEEK_SET), 4);
	CHECK_EQ(seek_too(fd, 0, SEEK_CUR), 4);
	if (fcntl_it)
		CHECK_EQ(fcntl_it(fd, F_GETFL) & O_ACCMODE, O_RDWR);
	CHECK_EQ(fcntl_too(fd, F_GETFL) & O_ACCMODE, O_RDWR);
	other = MUST(fcntl_too(fd, F_DUPFD_CLOEXEC, 90));
	CHECK_EQ(fcntl(other, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(dup_it(fd, other), other);
	CHECK_EQ(fcntl(other, F_GETFD), 0);
	CHECK_OK(close_it(other));
	CHECK_ERRNO(close_it(other), EBADF);
	if (range) {
		other = MUST(dup_it(fd, 95));
		CHECK_OK(range(95, 96, 0));
		CHECK_ERRNO(fcntl(95, F_GETFD), EBADF);
	}
	CHECK_OK(close(fd));
}

/* A struct stat that knows the file of 6 bytes. */
#define STATS(name, call, ...)                                                 \
	do {                                                                   \
		int (*fn)(__VA_ARGS__) = NAMED(int, name, __VA_ARGS__);        \
		if (fn) {                                                      \
			memset(&st, 0, sizeof(st));                            \
			CHECK_OK(call);                                        \
			CHECK_EQ(st.st_size, 6);                               \
			CHECK_EQ(st.st_mode, want);                            \
		}                                                              \
	} while (0)

static void attributes(void)
{
	char *f = t_at("f"), *l = t_at("l");
	struct stat st;
	mode_t want = S_IFREG | 0644;
	int version = 1; /* _STAT_VER of x86_64; 0 elsewhere */

#ifndef __x86_64__
	version = 0;
#endif
	t_put(f, "abcdef");
	MUST(symlink("target", l));
	int fd = MUST(open(f, O_RDONLY)), dir = MUST(open(t_dir, O_RDONLY));

	STATS("stat64", fn(f, &st), const char *, struct stat *);
	STATS("fstat64", fn(fd, &st), int, struct stat *);
	STATS("fstatat64", fn(dir, "f", &st, 0), int, const char *,
	      struct stat *, int);
	STATS("__xstat", fn(version, f, &st), int, const char *, struct stat *);
	STATS("__xstat64", fn(version, f, &st), int, const char *,
	      struct stat *);
	STATS("__fxstat", fn(version, fd, &st), int, int, struct stat *);
	STATS("__fxstat64", fn(version, fd, &st), int, int, struct stat *);
	STATS("__fxstatat", fn(version, dir, "f", &st, 0), int, int,
	      const char *, struct stat *, int);
	STATS("__fxstatat64", fn(version, dir, "f", &st, 0), int, int,
	      const char *, struct stat *, int);
	want = S_IFLNK | 0777;
	STATS("lstat64", fn(l, &st), const char *, struct stat *);
	STATS("__lxstat", fn(version, l, &st), int, const char *,
	      struct stat *);
	STATS("__lxstat64", fn(version, l, &st), int, const char *,
	      struct stat *);
	/* A link has no mode of its own; libc or the kernel says so. */
	CHECK_ERRNO2(lchmod(l, 0600), EOPNOTSUPP, ENOSYS);
	CHECK_OK(lchmod(f, 0600));
	CHECK_EQ(t_mode(f), S_IFREG | 0600);
	CHECK_OK(close(fd));
	CHECK_OK(close(dir));
}

static void links(void)
{
	ssize_t (*checked)(const char *, char *, size_t, size_t) =
		NAMED(ssize_t, "__readlink_chk", const char *, char *, size_t,
		      size_t);
	ssize_t (*checked_at)(int, const char *, char *, size_t, size_t) =
		NAMED(ssize_t, "__readlinkat_chk", int, const char *, char *,
		      size_t, size_t);

	MUST(symlink("target", t_at("l")));
	CHECK_EQ(checked(t_at("l"), got, 64, 64), 6);
	CHECK_MEM(got, "target", 6);
	memset(got, 0, sizeof(got));
	CHECK_EQ(checked_at(AT_FDCWD, t_at("l"), got, 64, 64), 6);
	CHECK_MEM(got, "target", 6);
}

/* The size of "f" after a call that changes it, or not. */
#define SIZES(name, want, call, ...)                                           \
	do {                                                                   \
		int (*fn)(__VA_ARGS__) = NAMED(int, name, __VA_ARGS__);        \
		if (fn) {                                                      \
			CHECK_EQ(call, 0);                                     \
			CHECK_EQ(t_size(t_at("f")), want);                     \
		}                                                              \
	} while (0)

static void sizes(void)
{
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	SIZES("truncate64", 7, fn(t_at("f"), 7), const char *, off_t);
	SIZES("ftruncate64", 9, fn(fd, 9), int, off_t);
	SIZES("fallocate64", 20, fn(fd, 0, 0, 20), int, int, off_t, off_t);
	SIZES("posix_fallocate64", 30, fn(fd, 10, 20), int, off_t, off_t);
	SIZES("posix_fadvise64", 30, fn(fd, 0, 0, POSIX_FADV_RANDOM), int,
	      off_t, off_t, int);
	CHECK_OK(close(fd));
}

static void file_systems(void)
{
	struct statfs st, want;
	int (*by_path)(const char *, struct statfs *) =
		NAMED(int, "statfs64", const char *, struct statfs *);
	int (*by_fd)(int, struct statfs *) =
		NAMED(int, "fstatfs64", int, struct statfs *);
	int (*inner)(const char *, struct statfs *) =
		NAMED(int, "__statfs", const char *, struct statfs *);
	int dir = MUST(open(t_dir, O_RDONLY));

	MUST(statfs(t_dir, &want));
	CHECK_OK(by_path(t_dir, &st));
	CHECK_EQ(st.f_type, want.f_type);
	CHECK_OK(by_fd(dir, &st));
	CHECK_EQ(st.f_type, want.f_type);
	if (inner) {
		CHECK_OK(inner(t_dir, &st));
		CHECK_EQ(st.f_type, want.f_type);
	}
	CHECK_OK(close(dir));
}

static void the_rest(void)
{
	void *(*map)(void *, size_t, int, int, int, off_t) =
		NAMED(void *, "mmap64", void *, size_t, int, int, int, off_t);
	ssize_t (*send)(int, int, off_t *, size_t) =
		NAMED(ssize_t, "sendfile64", int, int, off_t *, size_t);
	off_t at = 1;

	t_put(t_at("f"), "abcdef");
	int fd = MUST(open(t_at("f"), O_RDONLY));
	int out = MUST(open(t_at("out"), O_RDWR | O_CREAT, 0644));
	char *mem = MUST_PTR(map(NULL, 6, PROT_READ, MAP_SHARED, fd, 0));

	CHECK_MEM(mem, "abcdef", 6);
	CHECK_OK(munmap(mem, 6));
	CHECK_EQ(send(out, fd, &at, 3), 3);
	CHECK_FILE(t_at("out"), "bcd");
	CHECK_OK(close(fd));
	CHECK_OK(close(out));
}

T_MAIN(CASE(opening), CASE(reading), CASE(writing), CASE(descriptors),
       CASE(attributes), CASE(links), CASE(sizes), CASE(file_systems),
       CASE(the_rest))
