/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Helpers of the conformance programs. A program is a list of cases; each
 * case gets an empty directory of its own below argv[1] and states what
 * Linux does. argv[2] "mount" says that the directory lies on DAOS; nothing
 * but t_mount() may ask for it, and only to accept a documented difference.
 * Further arguments name the cases to run. Exit status: 0 pass, 77 nothing
 * could be tried here, 1 a failed check (file:line and expectation on stderr).
 */
#ifndef T_H
#define T_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#define T_MAYBE __attribute__((unused))

struct t_case {
	const char *name;
	void (*run)(void);
};

#define CASE(fn)                                                               \
	{                                                                      \
#fn, fn                                                        \
	}

#define T_MAIN(...)                                                            \
	int main(int argc, char **argv)                                        \
	{                                                                      \
		static const struct t_case cases[] = {__VA_ARGS__};            \
		return t_run(argc, argv, cases,                                \
			     sizeof(cases) / sizeof(cases[0]));                \
	}

static const char *t_self;   /* this program, for those that exec themselves */
static const char *t_base;   /* the working directory: argv[1] */
static const char *t_name;   /* the running case */
static char t_dir[PATH_MAX]; /* the running case's own directory */
static int t_failures, t_skipped;
static bool t_is_mount;

/* The directory is on DAOS: accept a difference, with a comment saying why. */
static T_MAYBE bool t_mount(void)
{
	return t_is_mount;
}

static T_MAYBE bool t_root(void)
{
	return geteuid() == 0;
}

static T_MAYBE __attribute__((format(printf, 3, 4))) void
t_fail(const char *file, int line, const char *fmt, ...)
{
	char text[1024], out[1400];
	va_list ap;
	int len;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	len = snprintf(out, sizeof(out), "%s:%d: %s: %s\n", file, line,
		       t_name ? t_name : "", text);
	if (len > (int)sizeof(out) - 1)
		len = sizeof(out) - 1;
	if (write(2, out, len) != len)
		t_failures++;
	t_failures++;
}

#define T_HERE __FILE__, __LINE__

#define CHECK(expr)                                                            \
	do {                                                                   \
		if (!(expr))                                                   \
			t_fail(T_HERE, "expected %s (errno %d %s)", #expr,     \
			       errno, strerror(errno));                        \
	} while (0)

/* The call succeeds (any value but -1). */
#define CHECK_OK(expr)                                                         \
	do {                                                                   \
		errno = 0;                                                     \
		if ((long long)(expr) == -1)                                   \
			t_fail(T_HERE, "%s failed: %d %s", #expr, errno,       \
			       strerror(errno));                               \
	} while (0)

#define CHECK_EQ(expr, want)                                                   \
	do {                                                                   \
		long long t_got = (long long)(expr);                           \
		int t_errno = errno;                                           \
		long long t_want = (long long)(want);                          \
		if (t_got != t_want)                                           \
			t_fail(T_HERE,                                         \
			       "%s is %lld, expected %s = %lld (errno %d %s)", \
			       #expr, t_got, #want, t_want, t_errno,           \
			       strerror(t_errno));                             \
	} while (0)

/* The call answers -1 with one of two errnos. */
#define CHECK_ERRNO2(expr, one, two)                                           \
	do {                                                                   \
		errno = 0;                                                     \
		long long t_got = (long long)(expr);                           \
		int t_errno = errno;                                           \
		if (t_got != -1)                                               \
			t_fail(T_HERE, "%s is %lld, expected %s", #expr,       \
			       t_got, #one);                                   \
		else if (t_errno != (one) && t_errno != (two))                 \
			t_fail(T_HERE, "%s: errno %d %s, expected %s (%d)",    \
			       #expr, t_errno, strerror(t_errno), #one,        \
			       (one));                                         \
	} while (0)

#define CHECK_ERRNO(expr, want) CHECK_ERRNO2(expr, want, want)

/* A function of the posix_* family: the error is the value. */
#define CHECK_ERR(expr, want) CHECK_EQ(expr, want)

#define CHECK_STR(expr, want)                                                  \
	do {                                                                   \
		const char *t_got = (expr);                                    \
		const char *t_want = (want);                                   \
		if (!t_got || strcmp(t_got, t_want) != 0)                      \
			t_fail(T_HERE,                                         \
			       "%s is \"%.300s\", expected \"%.300s\"", #expr, \
			       t_got ? t_got : "(null)", t_want);              \
	} while (0)

#define CHECK_MEM(got, want, len)                                              \
	do {                                                                   \
		if (memcmp(got, want, len) != 0)                               \
			t_fail(T_HERE, "%s differs from %s", #got, #want);     \
	} while (0)

/* The file holds exactly this text. */
#define CHECK_FILE(path, text) t_check_file(T_HERE, path, text, strlen(text))
#define CHECK_FILE_MEM(path, mem, len) t_check_file(T_HERE, path, mem, len)

/* A step without which the case means nothing: ends the program. */
#define MUST(expr)                                                             \
	__extension__({                                                        \
		errno = 0;                                                     \
		long long t_got = (long long)(expr);                           \
		if (t_got == -1) {                                             \
			t_fail(T_HERE, "cannot go on: %s: %d %s", #expr,       \
			       errno, strerror(errno));                        \
			_exit(1);                                              \
		}                                                              \
		t_got;                                                         \
	})

#define MUST_PTR(expr)                                                         \
	__extension__({                                                        \
		errno = 0;                                                     \
		void *t_got = (void *)(expr);                                  \
		if (!t_got || t_got == (void *)-1) {                           \
			t_fail(T_HERE, "cannot go on: %s: %d %s", #expr,       \
			       errno, strerror(errno));                        \
			_exit(1);                                              \
		}                                                              \
		t_got;                                                         \
	})

#define SKIP_CASE(reason)                                                      \
	do {                                                                   \
		fprintf(stderr, "%s: skipped: %s\n", t_name, reason);          \
		t_skipped++;                                                   \
		return;                                                        \
	} while (0)

/* A path below the running case's directory; 64 results live at a time. */
static T_MAYBE __attribute__((format(printf, 1, 2))) char *t_at(const char *fmt,
								...)
{
	static char bufs[64][PATH_MAX];
	static unsigned int next;
	char *buf = bufs[__atomic_fetch_add(&next, 1, __ATOMIC_RELAXED) % 64];
	int len = snprintf(buf, PATH_MAX, "%s/", t_dir);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf + len, PATH_MAX - len, fmt, ap);
	va_end(ap);
	return buf;
}

/* The same into the caller's buffer of PATH_MAX bytes: for threads and handlers. */
static T_MAYBE __attribute__((format(printf, 2, 3))) void
t_into(char *buf, const char *fmt, ...)
{
	int len = snprintf(buf, PATH_MAX, "%s/", t_dir);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf + len, PATH_MAX - len, fmt, ap);
	va_end(ap);
}

static T_MAYBE void t_put_mem(const char *path, const void *data, size_t len)
{
	int fd = MUST(open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644));

	while (len > 0) {
		size_t done = MUST(write(fd, data, len));

		data = (const char *)data + done;
		len -= done;
	}
	MUST(close(fd));
}

static T_MAYBE void t_put(const char *path, const char *text)
{
	t_put_mem(path, text, strlen(text));
}

static T_MAYBE void t_check_file(const char *file, int line, const char *path,
				 const void *want, size_t len)
{
	char *got = malloc(len + 2);
	size_t have = 0;
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		t_fail(file, line, "open %s: %s", path, strerror(errno));
		free(got);
		return;
	}
	while (have < len + 1 && (n = read(fd, got + have, len + 1 - have)) > 0)
		have += n;
	close(fd);
	got[have] = '\0';
	if (have != len || memcmp(got, want, len) != 0)
		t_fail(file, line,
		       "%s holds %s%zu bytes \"%.80s\", expected %zu \"%.80s\"",
		       path, have > len ? "at least " : "", have, got, len,
		       (const char *)want);
	free(got);
}

static T_MAYBE bool t_exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static T_MAYBE off_t t_size(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_size : -1;
}

static T_MAYBE mode_t t_mode(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 ? st.st_mode : 0;
}

/* Bytes that say where they belong: position and seed. */
static T_MAYBE void t_fill(void *buf, size_t len, off_t from, unsigned int seed)
{
	unsigned char *at = buf;

	for (size_t i = 0; i < len; i++) {
		unsigned long long x = from + i;

		at[i] = (x * 31 + (x >> 8) * 17 + (x >> 16) + seed) & 0xff;
	}
}

/* Addresses no program may use: low, unmapped, non-canonical. */
static T_MAYBE void *t_bad_pointer(int which)
{
	static const unsigned long bad[] = {1, 0x10000, 0x8000000000000000UL,
					    0xfffffffffffff000UL};
	volatile unsigned long at = bad[which];

	return (void *)at;
}

#define T_BAD_POINTERS 4

/* Runs fn in a forked child; its failed checks are ours. */
static T_MAYBE pid_t t_spawn(void (*fn)(void *), void *arg)
{
	pid_t pid = MUST(fork());

	if (pid == 0) {
		t_failures = 0;
		fn(arg);
		_exit(t_failures ? 1 : 0);
	}
	return pid;
}

static T_MAYBE void t_reap(const char *file, int line, pid_t pid)
{
	int status = 0;
	pid_t got;

	do
		got = waitpid(pid, &status, 0);
	while (got < 0 && errno == EINTR);
	if (got != pid)
		t_fail(file, line, "waitpid: %s", strerror(errno));
	else if (WIFSIGNALED(status))
		t_fail(file, line, "child died of signal %d", WTERMSIG(status));
	else if (WEXITSTATUS(status) != 0)
		t_fail(file, line, "child exited with %d", WEXITSTATUS(status));
}

#define CHECK_REAP(pid) t_reap(T_HERE, pid)
#define CHECK_CHILD(fn, arg) t_reap(T_HERE, t_spawn(fn, arg))

static T_MAYBE bool t_chosen(int argc, char **argv, const char *name)
{
	for (int i = 3; i < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return true;
	return argc <= 3;
}

static T_MAYBE int t_run(int argc, char **argv, const struct t_case *cases,
			 size_t count)
{
	size_t ran = 0;

	if (argc < 2 || argv[1][0] != '/') {
		fprintf(stderr,
			"usage: %s ABSOLUTE-DIR [kernel|mount [CASE...]]\n",
			argv[0]);
		return 2;
	}
	t_self = argv[0];
	t_base = argv[1];
	t_is_mount = argc > 2 && strcmp(argv[2], "mount") == 0;
	umask(022);
	if (mkdir(t_base, 0755) != 0 && errno != EEXIST) {
		perror(t_base);
		return 1;
	}
	for (size_t i = 0; i < count; i++) {
		if (!t_chosen(argc, argv, cases[i].name))
			continue;
		t_name = cases[i].name;
		snprintf(t_dir, sizeof(t_dir), "%s/%s", t_base, t_name);
		umask(022);
		/* A program that runs twice in one place finds it made. */
		if (mkdir(t_dir, 0755) != 0 && errno != EEXIST)
			MUST(-1);
		MUST(chdir("/"));
		cases[i].run();
		ran++;
	}
	if (t_failures)
		return 1;
	return ran && t_skipped == (int)ran ? 77 : 0;
}

#endif
