/*
 * Another party in the same process makes system calls by itself: it closes,
 * duplicates and uses numbers that are ours. What comes after through libc must
 * reach the right file or fail.
 */
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <signal.h>
#include "raw.h"
#include "t.h"

static const char right[] = "the right bytes";
#define RIGHT (sizeof(right) - 1)

static int fresh(void)
{
	t_put(t_at("f"), right);
	return MUST(open(t_at("f"), O_RDWR));
}

static void intact(void)
{
	CHECK_FILE(t_at("f"), right);
}

/* Every call of libc that gives birth to a descriptor. */
static int born_socket(void)
{
	return socket(AF_UNIX, SOCK_DGRAM, 0);
}

static int born_pipe(void)
{
	int pair[2];

	if (pipe(pair) != 0)
		return -1;
	dup2(pair[1], 900);
	close(pair[1]);
	return pair[0];
}

static int born_pipe2(void)
{
	int pair[2];

	if (pipe2(pair, O_CLOEXEC) != 0)
		return -1;
	dup2(pair[1], 900);
	close(pair[1]);
	return pair[0];
}

static int born_eventfd(void)
{
	return eventfd(0, 0);
}

static int born_epoll(void)
{
	return epoll_create1(0);
}

static int born_memfd(void)
{
	return memfd_create("t", 0);
}

static int born_timerfd(void)
{
	return timerfd_create(CLOCK_MONOTONIC, 0);
}

static int born_signalfd(void)
{
	sigset_t none;

	sigemptyset(&none);
	return signalfd(-1, &none, 0);
}

static int born_inotify(void)
{
	return inotify_init1(0);
}

static int born_open(void)
{
	return open("/dev/null", O_RDWR);
}

static int born_dup(void)
{
	return dup(2);
}

static int born_dupfd(void)
{
	return fcntl(2, F_DUPFD, 0);
}

static int born_socketpair(void)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
		return -1;
	dup2(pair[1], 900);
	close(pair[1]);
	return pair[0];
}

static int born_directory(void)
{
	return open("/", O_RDONLY | O_DIRECTORY);
}

static void reused_number(void)
{
	static const struct {
		const char *name;
		int (*born)(void);
	} births[] = {
		{"socket", born_socket},
		{"pipe", born_pipe},
		{"pipe2", born_pipe2},
		{"eventfd", born_eventfd},
		{"epoll", born_epoll},
		{"memfd", born_memfd},
		{"timerfd", born_timerfd},
		{"signalfd", born_signalfd},
		{"inotify", born_inotify},
		{"open", born_open},
		{"dup", born_dup},
		{"F_DUPFD", born_dupfd},
		{"socketpair", born_socketpair},
		{"directory", born_directory},
	};

	for (size_t i = 0; i < sizeof(births) / sizeof(births[0]); i++) {
		int fd = fresh();
		struct stat file, st;

		MUST(fstat(fd, &file));
		CHECK_EQ(raw(SYS_close, fd, 0, 0, 0), 0);
		int born = births[i].born();

		if (born != fd)
			t_fail(T_HERE, "%s got %d, not %d", births[i].name,
			       born, fd);
		MUST(fstat(born, &st));
		if (st.st_ino == file.st_ino && st.st_dev == file.st_dev)
			t_fail(T_HERE, "%s is taken for the file",
			       births[i].name);
		/* What is written there must not land in the file. */
		if (i != 10 && i != 11) {
			ssize_t n = write(born, "MISPLACED BYTES", 8);

			(void)n;
		}
		intact();
		CHECK_OK(close(born));
		close(900);
		CHECK_ERRNO(close(born), EBADF);
	}
}

static void closed_behind_our_back(void)
{
	char c;
	int fd = fresh();

	CHECK_EQ(raw(SYS_close, fd, 0, 0, 0), 0);
	/* Error, or the file: the number may still be known as ours. */
	ssize_t n = pread(fd, &c, 1, 0);

	CHECK((n == 1 && c == right[0]) || (n == -1 && errno == EBADF));
	close(fd);
	CHECK_ERRNO(pread(fd, &c, 1, 0), EBADF);
	CHECK_ERRNO(close(fd), EBADF);
	intact();
}

static void used_raw(void)
{
	char buf[32];
	int fd = fresh();
	long n = raw(SYS_read, fd, (long)buf, sizeof(buf), 0);

	CHECK(n < 0 || (n == RIGHT && memcmp(buf, right, RIGHT) == 0));
	n = raw(SYS_pread64, fd, (long)buf, sizeof(buf), 0);
	CHECK(n < 0 || (n == RIGHT && memcmp(buf, right, RIGHT) == 0));
	n = raw(SYS_pwrite64, fd, (long)right, RIGHT, 0);
	CHECK(n < 0 || n == RIGHT);
	n = raw(SYS_ftruncate, fd, RIGHT, 0, 0);
	CHECK(n < 0 || n == 0);
	n = raw(SYS_mmap, 0, 4096, PROT_READ, MAP_SHARED);
	intact();
	/* Through libc all is as before. */
	CHECK_EQ(pread(fd, buf, sizeof(buf), 0), RIGHT);
	CHECK_OK(close(fd));
}

static void duplicated_raw(void)
{
	char buf[32];
	int fd = fresh();
	long twin = raw(SYS_dup, fd, 0, 0, 0);

	CHECK(twin >= 0);
	ssize_t n = pread(twin, buf, sizeof(buf), 0);

	CHECK(n == -1 || (n == RIGHT && memcmp(buf, right, RIGHT) == 0));
	n = pwrite(twin, "X", 1, 0);
	if (n == 1)
		CHECK_EQ(pwrite(fd, right, 1, 0), 1);
	intact();
	raw(SYS_close, twin, 0, 0, 0);
	/* Onto a number of ours, from a pipe. */
	int pair[2];

	MUST(pipe(pair));
	MUST(write(pair[1], "pipe", 4));
	CHECK_EQ(raw(SYS_dup3, pair[0], fd, 0, 0), fd);
	n = read(fd, buf, 4);
	CHECK(n == -1 || (n == 4 && (memcmp(buf, "pipe", 4) == 0 ||
				     memcmp(buf, right, 4) == 0)));
	intact();
	close(fd);
	CHECK_OK(close(pair[0]));
	CHECK_OK(close(pair[1]));
}

static void reopened_raw(void)
{
	char name[64], buf[32];
	int fd = fresh();

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	long again = raw(SYS_openat, AT_FDCWD, (long)name, O_RDONLY, 0);

	if (again >= 0) {
		long n = raw(SYS_read, again, (long)buf, sizeof(buf), 0);

		/* Root may read the placeholder: its one byte, and no more. */
		CHECK(n < 0 || (n == RIGHT && memcmp(buf, right, RIGHT) == 0) ||
		      (t_mount() && t_root() && n <= 1));
		raw(SYS_close, again, 0, 0, 0);
	}
	again = raw(SYS_openat, AT_FDCWD, (long)name, O_WRONLY | O_TRUNC, 0);
	if (again >= 0)
		raw(SYS_close, again, 0, 0, 0);
	if (!t_mount())
		t_put(t_at("f"), right);
	intact();
	CHECK_OK(close(fd));
}

/* What bypasses us may not work in some other directory. */
static void relative_raw(void)
{
	char buf[PATH_MAX];

	t_put(t_at("f"), right);
	MUST(chdir(t_dir));
	long fd = raw(SYS_openat, AT_FDCWD, (long)"f", O_RDONLY, 0);

	if (fd >= 0) {
		CHECK_EQ(raw(SYS_read, fd, (long)buf, sizeof(buf), 0), RIGHT);
		CHECK_MEM(buf, right, RIGHT);
		raw(SYS_close, fd, 0, 0, 0);
	}
	fd = raw(SYS_openat, AT_FDCWD, (long)"created", O_RDWR | O_CREAT, 0644);
	if (fd >= 0) {
		CHECK(t_exists(t_at("created")));
		raw(SYS_close, fd, 0, 0, 0);
	}
	if (raw(SYS_mkdirat, AT_FDCWD, (long)"made", 0755, 0) == 0)
		CHECK(t_exists(t_at("made")));
	if (raw(SYS_unlinkat, AT_FDCWD, (long)"f", 0, 0) == 0)
		CHECK(!t_exists(t_at("f")));
	fd = raw(SYS_openat, AT_FDCWD, (long)"../up", O_RDWR | O_CREAT, 0644);
	if (fd >= 0) {
		CHECK(t_exists(t_at("../up")));
		raw(SYS_close, fd, 0, 0, 0);
	}
	MUST(chdir("/"));
}

T_MAIN(CASE(reused_number), CASE(closed_behind_our_back), CASE(used_raw),
       CASE(duplicated_raw), CASE(reopened_raw), CASE(relative_raw))
