/* syscall(2) with file calls: the same files as through libc's names. */
#include <signal.h>
#include <sys/syscall.h>
#include "t.h"

static void files(void)
{
	char got[16];
	struct stat st;
	long fd = syscall(SYS_openat, AT_FDCWD, t_at("f"), O_RDWR | O_CREAT,
			  0644);

	CHECK_OK(fd);
	CHECK_EQ(syscall(SYS_write, fd, "by number", 9), 9);
	CHECK_EQ(syscall(SYS_pread64, fd, got, 16, 3), 6);
	CHECK_MEM(got, "number", 6);
	CHECK_EQ(syscall(SYS_lseek, fd, 0, SEEK_SET), 0);
	CHECK_EQ(read(fd, got, 2), 2);
	CHECK_OK(syscall(SYS_fstat, fd, &st));
	CHECK_EQ(st.st_size, 9);
	long twin = syscall(SYS_dup, fd);

	CHECK_OK(twin);
	CHECK_OK(syscall(SYS_close, fd));
	CHECK_EQ(read(twin, got, 16), 7);
	CHECK_OK(close(twin));
	CHECK_ERRNO(syscall(SYS_close, twin), EBADF);
	CHECK_FILE(t_at("f"), "by number");
}

static void directories(void)
{
	char buf[PATH_MAX];

	CHECK_OK(syscall(SYS_mkdirat, AT_FDCWD, t_at("d"), 0755));
	CHECK_OK(syscall(SYS_chdir, t_at("d")));
	CHECK_EQ(syscall(SYS_getcwd, buf, sizeof(buf)), strlen(t_at("d")) + 1);
	CHECK_STR(buf, t_at("d"));
	CHECK_OK(syscall(SYS_chdir, "/"));
	CHECK_OK(syscall(SYS_renameat2, AT_FDCWD, t_at("d"), AT_FDCWD,
			 t_at("e"), 0));
	CHECK_OK(syscall(SYS_unlinkat, AT_FDCWD, t_at("e"), AT_REMOVEDIR));
	CHECK_ERRNO(syscall(SYS_unlinkat, AT_FDCWD, t_at("e"), AT_REMOVEDIR),
		    ENOENT);
}

static void openat2(void)
{
#ifdef SYS_openat2
	struct {
		unsigned long long flags, mode, resolve;
	} how = {.flags = O_RDONLY};
	char got[4];

	t_put(t_at("f"), "x");
	int dir = MUST(open(t_dir, O_RDONLY | O_DIRECTORY));
	long fd = syscall(SYS_openat2, dir, "f", &how, sizeof(how));

	if (fd < 0 && (errno == ENOSYS || errno == EPERM))
		SKIP_CASE("no openat2");
	CHECK_EQ(read(fd, got, 4), 1);
	CHECK_OK(close(fd));
	how.resolve = 8; /* RESOLVE_BENEATH */
	CHECK_ERRNO2(syscall(SYS_openat2, dir, "../x", &how, sizeof(how)),
		     EXDEV, ENOSYS);
	how.resolve = 1ULL << 40;
	CHECK_ERRNO2(syscall(SYS_openat2, dir, "f", &how, sizeof(how)), EINVAL,
		     ENOSYS);
	CHECK_OK(close(dir));
#endif
}

static void leaves(void *arg)
{
	(void)arg;
	t_put(t_at("f"), "left");
	syscall(SYS_exit_group, t_failures ? 1 : 0);
}

static void processes(void)
{
	char now[4 * sizeof(long)];

	CHECK_CHILD(leaves, NULL);
	CHECK_FILE(t_at("f"), "left");
	CHECK_OK(syscall(SYS_rt_sigaction, SIGUSR1, NULL, now, 8));
	CHECK_ERRNO(syscall(SYS_rt_sigaction, 1000, NULL, now, 8), EINVAL);
}

static void becomes_true(void *arg)
{
	char *argv[] = {"true", NULL};

	(void)arg;
	execveat(*(int *)arg, "true", argv, argv + 1, 0);
	t_failures++;
}

static void programs(void)
{
	char *argv[] = {"true", NULL};
	int bin = MUST(open("/bin", O_RDONLY | O_DIRECTORY));

	CHECK_CHILD(becomes_true, &bin);
	CHECK_ERRNO(execveat(bin, t_at("none"), argv, argv + 1, 0), ENOENT);
	CHECK_OK(close(bin));
}

/* The kernel looks at the lower half of what is an int to it. */
#define WIDE(n) ((long)(unsigned int)(n) | 0x5a5a5a5aL << 32)

static void wide_numbers(void)
{
	long cwd = WIDE(AT_FDCWD);
	long times[4] = {7, 0, 9, 0};
	char got[16];
	struct stat st;
	long fd = syscall(SYS_openat, cwd, t_at("f"), WIDE(O_RDWR | O_CREAT),
			  WIDE(0640));

	CHECK_OK(fd);
	CHECK_EQ(syscall(SYS_pwrite64, WIDE(fd), "0123456789", 10, 0L), 10);
	CHECK_EQ(syscall(SYS_lseek, WIDE(fd), 3L, WIDE(SEEK_SET)), 3);
	CHECK_EQ(syscall(SYS_read, WIDE(fd), got, 4), 4);
	long in = 0, out = 20;

	CHECK_EQ(syscall(SYS_copy_file_range, WIDE(fd), &in, WIDE(fd), &out, 5L,
			 WIDE(0)),
		 5);
	CHECK_OK(syscall(SYS_fstat, WIDE(fd), &st));
	CHECK_EQ(st.st_size, 25);
	CHECK_EQ(st.st_mode & 07777, 0640);
	CHECK_OK(syscall(SYS_fchmod, WIDE(fd), WIDE(0600)));
	CHECK_OK(syscall(SYS_fchownat, cwd, t_at("f"), WIDE(-1), WIDE(-1),
			 WIDE(0)));
	CHECK_OK(syscall(SYS_utimensat, cwd, t_at("f"), times, WIDE(0)));
	CHECK_OK(syscall(SYS_newfstatat, cwd, t_at("f"), &st, WIDE(0)));
	CHECK_EQ(st.st_mtime, 9);
	CHECK_EQ(st.st_mode & 07777, 0600);
	CHECK_OK(syscall(SYS_fadvise64, WIDE(fd), 0L, 0L, WIDE(0)));
	CHECK_OK(syscall(SYS_sync_file_range, WIDE(fd), 0L, 0L, WIDE(0)));
	CHECK_OK(syscall(SYS_flock, WIDE(fd), WIDE(2)));
	CHECK_OK(syscall(SYS_faccessat, cwd, t_at("f"), WIDE(R_OK)));
	CHECK_OK(syscall(SYS_renameat2, cwd, t_at("f"), cwd, t_at("g"),
			 WIDE(0)));
	CHECK_EQ(syscall(SYS_fcntl, WIDE(fd), WIDE(F_GETFD)), 0);
	long high = syscall(SYS_fcntl, WIDE(fd), WIDE(F_DUPFD), 50L);

	CHECK(high >= 50);
	CHECK_EQ(syscall(SYS_dup3, WIDE(fd), WIDE(high), WIDE(O_CLOEXEC)),
		 high);
	CHECK_EQ(fcntl(high, F_GETFD), FD_CLOEXEC);
	CHECK_OK(syscall(SYS_close, WIDE(high)));
	CHECK_ERRNO(read(high, got, 1), EBADF);
	CHECK_OK(syscall(SYS_unlinkat, cwd, t_at("g"), WIDE(0)));
	CHECK_OK(syscall(SYS_close, WIDE(fd)));
}

/* An empty path at the working directory, whichever way it is written. */
static void wide_here(void)
{
	struct stat st;

	CHECK_OK(mkdir(t_at("d"), 0755));
	CHECK_OK(chdir(t_at("d")));
	CHECK_OK(syscall(SYS_newfstatat, WIDE(AT_FDCWD), "", &st,
			 AT_EMPTY_PATH));
	ino_t here = st.st_ino;

	CHECK_OK(stat(t_at("d"), &st));
	CHECK_EQ(st.st_ino, here);
	CHECK_OK(syscall(SYS_fchownat, (unsigned int)AT_FDCWD, "", -1L, -1L,
			 AT_EMPTY_PATH));
	CHECK_OK(chdir("/"));
}

static void no_such_number(void)
{
	CHECK_ERRNO(syscall(100000), ENOSYS);
}

T_MAIN(CASE(files), CASE(directories), CASE(openat2), CASE(processes),
       CASE(programs), CASE(wide_numbers), CASE(wide_here),
       CASE(no_such_number))
