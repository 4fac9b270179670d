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

static void no_such_number(void)
{
	CHECK_ERRNO(syscall(100000), ENOSYS);
}

T_MAIN(CASE(files), CASE(directories), CASE(openat2), CASE(processes),
       CASE(programs), CASE(no_such_number))
