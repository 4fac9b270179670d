/* Open file descriptions shared by relatives, with programs in between that load no library. */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include "t.h"

static int at_offset(int fd, off_t want)
{
	return lseek(fd, 0, SEEK_CUR) == want;
}

/* What this program does when it is the one executed: @WHAT FD... */
static int as_helper(int argc, char **argv)
{
	const char *what = argv[1] + 1;
	int fd = argc > 2 ? atoi(argv[2]) : -1;

	if (strcmp(what, "advance") == 0)
		return lseek(fd, 5, SEEK_CUR) >= 0 && write(fd, "W", 1) == 1
			       ? 0
			       : 11;
	if (strcmp(what, "append") == 0)
		return fcntl(fd, F_SETFL, O_APPEND) == 0 ? 0 : 12;
	if (strcmp(what, "open") == 0) {
		/* every listed number is open, the others of 20..40 are closed */
		for (int n = 3; n < 40; n++) {
			bool listed = false;

			for (int i = 2; i < argc; i++)
				listed |= atoi(argv[i]) == n;
			if ((listed || n >= 20) &&
			    (fcntl(n, F_GETFD) >= 0) != listed)
				return 13;
		}
		return 0;
	}
	if (strcmp(what, "first") == 0) {
		FILE *f = fopen(argv[2], "a");

		return f && fputs("first\n", f) >= 0 && fclose(f) == 0 ? 0 : 14;
	}
	if (strcmp(what, "spawner") == 0) {
		/* a program that has used nothing yet: its child is the first */
		char *run[] = {"echo", "spawned", NULL};
		posix_spawn_file_actions_t actions;
		int status = 1;
		pid_t pid;

		posix_spawn_file_actions_init(&actions);
		posix_spawn_file_actions_addopen(&actions, 1, argv[3],
						 O_WRONLY | O_CREAT, 0644);
		if (posix_spawn(&pid, argv[2], &actions, NULL, run, environ))
			return 15;
		waitpid(pid, &status, 0);
		return status;
	}
	if (strcmp(what, "forever") == 0)
		for (;;)
			pause();
	return 99;
}

static char *self_argv(char *numbers, size_t size, const char *what, int fd)
{
	snprintf(numbers, size, "%s %s %d", t_self, what, fd);
	return numbers;
}

static void run(char *const argv[], char *const envp[])
{
	pid_t pid = MUST(fork());

	if (pid == 0) {
		execve(argv[0], argv, envp ? envp : environ);
		_exit(127);
	}
	CHECK_REAP(pid);
}

static char number[8][16];

static char *text(int slot, int fd)
{
	snprintf(number[slot], sizeof(number[slot]), "%d", fd);
	return number[slot];
}

/* dup, fork, vfork, spawn and exec all move one offset and one set of flags. */
static void one_description(void)
{
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));
	int twin = MUST(dup(fd));
	char *argv[] = {(char *)t_self, "@advance", text(0, twin), NULL};
	pid_t pid;

	run(argv, NULL);
	CHECK(at_offset(fd, 6));
	pid = vfork();
	if (pid == 0) {
		execv(t_self, argv);
		_exit(127);
	}
	CHECK_REAP(pid);
	CHECK(at_offset(fd, 12));
	CHECK_ERR(posix_spawn(&pid, t_self, NULL, NULL, argv, environ), 0);
	CHECK_REAP(pid);
	CHECK(at_offset(twin, 18));
	char *append[] = {(char *)t_self, "@append", text(1, twin), NULL};

	run(append, NULL);
	CHECK(fcntl(fd, F_GETFL) & O_APPEND);
	CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
	CHECK_EQ(write(twin, "end", 3), 3);
	CHECK(at_offset(fd, 21));
	CHECK_OK(close(fd));
	CHECK_OK(close(twin));
}

/* `env -i` and a chain of shells without any variable of ours in between. */
static void stripped_chain(void)
{
	char command[2 * PATH_MAX], words[PATH_MAX + 64];
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	MUST(dup2(fd, 9));
	snprintf(command, sizeof(command), "exec /usr/bin/env -i %s",
		 self_argv(words, sizeof(words), "@advance", 9));
	char *argv[] = {"/bin/sh", "-c", command, NULL};
	char *empty[] = {NULL};

	run(argv, NULL);
	CHECK(at_offset(fd, 6));
	run(argv, empty);
	CHECK(at_offset(fd, 12));
	snprintf(
		command, sizeof(command),
		"echo x >&9; (echo y >&9; env -i /bin/sh -c 'echo z >&9') >&9");
	run(argv, empty);
	CHECK(at_offset(fd, 18));
	CHECK_OK(close(9));
	CHECK_OK(close(fd));
}

/* Close-on-exec is the descriptor's, whatever way it came and went. */
static void closing(void)
{
	int a = MUST(open(t_at("a"), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
	int b = MUST(fcntl(a, F_DUPFD, 20));
	int c = MUST(fcntl(a, F_DUPFD_CLOEXEC, 20));
	int d = MUST(dup3(a, 30, O_CLOEXEC));
	int e = MUST(dup2(a, 31));
	char *argv[] = {(char *)t_self, "@open", text(0, b), text(1, e), NULL};

	CHECK(b == 20 && c == 21);
	run(argv, NULL);
	CHECK_OK(fcntl(d, F_SETFD, 0));
	CHECK_OK(fcntl(e, F_SETFD, FD_CLOEXEC));
	argv[3] = text(1, d);
	run(argv, NULL);
#ifdef SYS_close_range
	/* CLOSE_RANGE_CLOEXEC marks, and close_range closes. */
	if (syscall(SYS_close_range, 20, 31, 4) == 0) {
		char *none[] = {(char *)t_self, "@open", NULL};

		run(none, NULL);
		CHECK_OK(fcntl(b, F_GETFD));
		CHECK_OK(syscall(SYS_close_range, 21, 31, 0));
		CHECK_ERRNO(fcntl(d, F_GETFD), EBADF);
		CHECK_OK(fcntl(b, F_SETFD, 0));
		char *one[] = {(char *)t_self, "@open", text(0, b), NULL};

		run(one, NULL);
	}
#endif
	CHECK_OK(syscall(SYS_close_range, 3, 40, 0));
}

/* Whoever dies by a signal takes nothing from the others. */
static void killed_holders(void)
{
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	for (int i = 0; i < 20; i++) {
		char *argv[] = {(char *)t_self, "@forever", NULL};
		pid_t pid = MUST(fork());

		if (pid == 0) {
			if (i % 3 == 0)
				execv(t_self, argv);
			for (;;)
				if (write(fd, "0123456789abcdef", 16) != 16)
					_exit(1);
		}
		usleep(i * 700);
		MUST(kill(pid, SIGKILL));
		MUST(waitpid(pid, NULL, 0));
		off_t at = lseek(fd, 0, SEEK_CUR);

		CHECK_EQ(at % 16, 0);
		CHECK_EQ(write(fd, "PPPPPPPPPPPPPPPP", 16), 16);
		CHECK_EQ(lseek(fd, 0, SEEK_CUR), at + 16);
	}
	off_t end = lseek(fd, 0, SEEK_CUR);
	char record[16];
	int ours = 0;

	CHECK_EQ(t_size(t_at("f")), end);
	CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
	while (read(fd, record, 16) == 16) {
		ours += record[0] == 'P';
		/* a record that a death left out is a hole */
		CHECK(memcmp(record, "0123456789abcdef", 16) == 0 ||
		      memcmp(record, "PPPPPPPPPPPPPPPP", 16) == 0 ||
		      (record[0] == 0 && record[15] == 0));
	}
	CHECK_EQ(ours, 20);
	CHECK_OK(close(fd));
}

/* An exec that fails leaves everything as it was. */
static void failed_exec(void)
{
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));
	int gone = MUST(open(t_at("f"), O_RDWR | O_CLOEXEC));
	char *argv[] = {"x", NULL};

	t_put(t_at("junk"), "\177ELF junk");
	MUST(chmod(t_at("junk"), 0755));
	MUST(chdir(t_dir));
	for (int i = 0; i < 50; i++) {
		CHECK_ERRNO(execv("/nonexistent/x", argv), ENOENT);
		CHECK_ERRNO(execv("junk", argv), ENOEXEC);
		CHECK_ERRNO(execv("f/x", argv), ENOTDIR);
		CHECK_ERRNO(execv("f", argv), EACCES);
		CHECK_EQ(write(fd, "ab", 2), 2);
		CHECK_EQ(pread(gone, argv, 0, 0), 0);
	}
	CHECK(at_offset(fd, 100) && at_offset(gone, 0));
	CHECK_EQ(fcntl(fd, F_GETFD), 0);
	CHECK_EQ(fcntl(gone, F_GETFD), FD_CLOEXEC);
	CHECK(t_exists("junk"));
	char *big = malloc(4 << 20);

	/* one argument too long */
	memset(big, 'x', (4 << 20) - 1);
	big[(4 << 20) - 1] = 0;
	argv[0] = big;
	CHECK_ERRNO(execv("/bin/true", argv), E2BIG);
	free(big);
	CHECK_EQ(write(fd, "ab", 2), 2);
	CHECK_OK(close(fd));
	CHECK_OK(close(gone));
}

/* Without a process to spare, fork fails and changes nothing. */
static void failed_fork(void)
{
	struct rlimit limit = {0, 0};
	pid_t pid = MUST(fork());

	if (pid == 0) {
		int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

		t_failures = 0;
		if (t_root() && (setgid(23456) != 0 || setuid(23456) != 0))
			_exit(1);
		MUST(setrlimit(RLIMIT_NPROC, &limit));
		for (int i = 0; i < 200; i++) {
			errno = 0;
			pid_t none = fork();

			if (none == 0)
				_exit(0);
			CHECK(none == -1 && errno == EAGAIN);
			CHECK_EQ(write(fd, "x", 1), 1);
		}
		CHECK(at_offset(fd, 200));
		CHECK_OK(close(fd));
		_exit(t_failures ? 1 : 0);
	}
	CHECK_REAP(pid);
}

/* errno is the application's over a fork that succeeds. */
static void errno_over_fork(void)
{
	errno = ENOTTY;
	pid_t pid = fork();
	int after = errno;

	if (pid == 0)
		_exit(after == ENOTTY ? 0 : 1);
	CHECK_EQ(after, ENOTTY);
	CHECK_REAP(pid);
}

/* exec of a file through a directory's descriptor, and by its own. */
static void through_descriptors(void)
{
	char *argv[] = {"x", "@open", NULL, NULL, NULL};
	static char buf[65536];
	int dir = MUST(open(t_dir, O_RDONLY | O_DIRECTORY));
	int in = MUST(open(t_self, O_RDONLY | O_CLOEXEC));
	int out =
		MUST(open(t_at("copy"), O_WRONLY | O_CREAT | O_CLOEXEC, 0755));
	ssize_t n;

	while ((n = MUST(read(in, buf, sizeof(buf)))) > 0)
		MUST(write(out, buf, n));
	MUST(close(in));
	MUST(close(out));
	argv[2] = text(0, dir);
	for (int way = 0; way < 3; way++) {
		pid_t pid = MUST(fork());

		if (pid == 0) {
			int fd = MUST(open(t_at("copy"), O_RDONLY | O_CLOEXEC));

			if (way == 0)
				syscall(SYS_execveat, dir, "copy", argv,
					environ, 0);
			else if (way == 1)
				syscall(SYS_execveat, fd, "", argv, environ,
					AT_EMPTY_PATH);
			else
				fexecve(fd, argv, environ);
			_exit(126);
		}
		CHECK_REAP(pid);
	}
	CHECK_ERRNO(syscall(SYS_execveat, dir, "none", argv, environ, 0),
		    ENOENT);
	MUST(symlink("copy", t_at("link")));
	CHECK_ERRNO(syscall(SYS_execveat, dir, "link", argv, environ,
			    AT_SYMLINK_NOFOLLOW),
		    ELOOP);
	CHECK_ERRNO(syscall(SYS_execveat, 999, "copy", argv, environ, 0),
		    EBADF);
	CHECK_OK(close(dir));
}

/* The first use of the directory is in a child of posix_spawn. */
static void spawn_comes_first(void)
{
	char *kernels[] = {(char *)t_self, "@spawner", "/bin/echo", t_at("a"),
			   NULL};
	char *ours[] = {(char *)t_self, "@spawner", t_at("echo"), t_at("b"),
			NULL};
	char copy[3 * PATH_MAX];
	char *cp[] = {"/bin/sh", "-c", copy, NULL};

	snprintf(copy, sizeof(copy), "cp /bin/echo %s", t_at("echo"));
	run(cp, NULL);
	run(kernels, NULL);
	CHECK_FILE(t_at("a"), "spawned\n");
	run(ours, NULL);
	CHECK_FILE(t_at("b"), "spawned\n");
}

static _Atomic bool enough;

static void *busy(void *arg)
{
	char name[PATH_MAX];
	struct stat st;
	int fd;

	t_into(name, "busy-%ld", (long)arg);
	fd = open(name, O_RDWR | O_CREAT, 0644);
	/* once at least: the thread may begin when the others are done */
	for (long i = 0; i == 0 || !enough; i++) {
		CHECK_EQ(pwrite(fd, "0123456789abcdef", 16, i % 64 * 16), 16);
		CHECK_OK(stat(name, &st));
		CHECK_OK(close(dup(fd)));
		if (i % 7 == 0)
			CHECK_OK(ftruncate(fd, 1024));
	}
	CHECK_OK(close(fd));
	return NULL;
}

static void child_among_threads(void *arg)
{
	char name[PATH_MAX];
	struct stat st;

	t_into(name, "child-%ld", (long)arg);
	int fd = MUST(open(name, O_RDWR | O_CREAT, 0644));

	CHECK_EQ(write(fd, "child", 5), 5);
	CHECK_OK(close(fd));
	CHECK_OK(stat(name, &st));
	CHECK_EQ(st.st_size, 5);
	if ((long)arg % 3 == 0)
		execl("/bin/sh", "sh", "-c", "exec test -s \"$0\"", name,
		      (char *)NULL);
}

/* Children of a process whose other threads are in the middle of calls. */
static void fork_among_threads(void)
{
	pthread_t threads[4];
	pid_t pids[40];

	for (long i = 0; i < 4; i++)
		CHECK_ERR(pthread_create(&threads[i], NULL, busy, (void *)i),
			  0);
	for (long i = 0; i < 40; i++) {
		pids[i] = t_spawn(child_among_threads, (void *)i);
		if (i % 4 == 3)
			for (long j = i - 3; j <= i; j++)
				CHECK_REAP(pids[j]);
	}
	enough = true;
	for (int i = 0; i < 4; i++)
		CHECK_ERR(pthread_join(threads[i], NULL), 0);
	for (long i = 0; i < 4; i++)
		CHECK_EQ(t_size(t_at("busy-%ld", i)), 1024);
}

static const struct t_case cases[] = {
	CASE(spawn_comes_first), CASE(fork_among_threads),
	CASE(one_description),	 CASE(stripped_chain),
	CASE(closing),		 CASE(killed_holders),
	CASE(failed_exec),	 CASE(failed_fork),
	CASE(errno_over_fork),	 CASE(through_descriptors),
};

int main(int argc, char **argv)
{
	if (argc > 1 && argv[1][0] == '@')
		return as_helper(argc, argv);
	return t_run(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
