/*
 * What another node takes away: a process with a run directory of its own plays that node, since
 * it knows nothing of what is open here. Right bytes or ESTALE; never zeros, never an early end.
 */
#include "t.h"

/* In the new program, started by elsewhere(). */
static void acts(void)
{
	const char *what = getenv("T_ACT"), *f = getenv("T_F");

	if (!what)
		SKIP_CASE("runs only in the program that plays another node");
	if (strcmp(what, "unlink") == 0)
		CHECK_OK(unlink(f));
	else if (strcmp(what, "replace") == 0)
		CHECK_OK(rename(getenv("T_G"), f));
	else if (strcmp(what, "move") == 0)
		CHECK_OK(rename(f, getenv("T_G")));
	else if (strcmp(what, "truncate") == 0)
		CHECK_OK(truncate(f, 2));
	else if (strcmp(what, "rmdir") == 0)
		CHECK_OK(rmdir(f));
	else
		t_fail(T_HERE, "act %s", what);
}

static void elsewhere(const char *what, const char *f, const char *g)
{
	static int n;
	char dir[] = "/tmp/other-node-XXXXXX";

	MUST_PTR(mkdtemp(dir));
	n++;
	pid_t pid = MUST(fork());

	if (pid == 0) {
		setenv("PIL4DFS_RUNDIR", dir, 1);
		setenv("T_ACT", what, 1);
		setenv("T_F", f, 1);
		setenv("T_G", g ? g : "", 1);
		execl(t_self, t_self, t_at("as-%d", n), "kernel", "acts",
		      (char *)NULL);
		_exit(99);
	}
	CHECK_REAP(pid);
	pid = MUST(fork());
	if (pid == 0) {
		execl("/bin/rm", "rm", "-rf", dir, (char *)NULL);
		_exit(99);
	}
	CHECK_REAP(pid);
}

/* Of a file of another node's making or taking: all the bytes, or on DAOS ESTALE. */
static void bytes_or_estale(int fd, const char *want, off_t at)
{
	char got[64];
	ssize_t len = strlen(want), n;

	errno = 0;
	n = pread(fd, got, sizeof(got), at);
	if (t_mount() && n == -1 && errno == ESTALE)
		return;
	CHECK_EQ(n, len);
	if (n == len)
		CHECK_MEM(got, want, len);
}

static void removed_after_a_read(void)
{
	char got[4];
	struct stat st;

	t_put(t_at("f"), "0123456789");
	int fd = MUST(open(t_at("f"), O_RDWR | O_CLOEXEC));

	CHECK_EQ(read(fd, got, 4), 4);
	elsewhere("unlink", t_at("f"), NULL);
	bytes_or_estale(fd, "0123456789", 0);
	bytes_or_estale(fd, "456789", 4);
	if (t_mount())
		CHECK_ERRNO(fstat(fd, &st), ESTALE);
	else
		CHECK_OK(fstat(fd, &st));
	CHECK_OK(close(fd));
}

static void removed_before_a_read(void)
{
	t_put(t_at("f"), "0123456789");
	int fd = MUST(open(t_at("f"), O_RDONLY | O_CLOEXEC));

	elsewhere("unlink", t_at("f"), NULL);
	bytes_or_estale(fd, "0123456789", 0);
	CHECK_OK(close(fd));
	/* The same through a stream. */
	t_put(t_at("f"), "0123456789");
	FILE *stream = MUST_PTR(fopen(t_at("f"), "re"));
	char line[16] = "";

	elsewhere("unlink", t_at("f"), NULL);
	errno = 0;
	if (fgets(line, sizeof(line), stream))
		CHECK_STR(line, "0123456789");
	else
		CHECK(t_mount() && ferror(stream) && errno == ESTALE);
	fclose(stream);
}

static void replaced(void)
{
	t_put(t_at("f"), "0123456789");
	t_put(t_at("g"), "new");
	int fd = MUST(open(t_at("f"), O_RDONLY | O_CLOEXEC));

	elsewhere("replace", t_at("f"), t_at("g"));
	bytes_or_estale(fd, "0123456789", 0);
	CHECK_OK(close(fd));
	CHECK_FILE(t_at("f"), "new");
}

/* Moved, it is the same file. */
static void moved(void)
{
	char got[16];

	t_put(t_at("f"), "0123456789");
	int fd = MUST(open(t_at("f"), O_RDWR | O_CLOEXEC));

	elsewhere("move", t_at("f"), t_at("g"));
	CHECK_EQ(pread(fd, got, 16, 0), 10);
	CHECK_EQ(pwrite(fd, "AB", 2, 0), 2);
	CHECK_OK(close(fd));
	CHECK_FILE(t_at("g"), "AB23456789");
}

/* Shorter, it ends there. */
static void truncated(void)
{
	char got[16];

	t_put(t_at("f"), "0123456789");
	int fd = MUST(open(t_at("f"), O_RDONLY | O_CLOEXEC));

	CHECK_EQ(read(fd, got, 4), 4);
	elsewhere("truncate", t_at("f"), NULL);
	CHECK_EQ(pread(fd, got, 16, 0), 2);
	CHECK_EQ(pread(fd, got, 16, 2), 0);
	CHECK_EQ(read(fd, got, 4), 0);
	CHECK_OK(close(fd));
}

/* A removed working directory: nothing can be made in it. */
static void no_directory(void)
{
	MUST(mkdir(t_at("d"), 0755));
	int dir = MUST(open(t_at("d"), O_RDONLY | O_DIRECTORY | O_CLOEXEC));

	elsewhere("rmdir", t_at("d"), NULL);
	usleep(1100000); /* what is known of a directory is believed for a second */
	CHECK_ERRNO2(openat(dir, "x", O_WRONLY | O_CREAT, 0644), ENOENT,
		     ESTALE);
	CHECK_OK(close(dir));
	CHECK(!t_exists(t_at("d")));
}

T_MAIN(CASE(acts), CASE(removed_after_a_read), CASE(removed_before_a_read),
       CASE(replaced), CASE(moved), CASE(truncated), CASE(no_directory))
