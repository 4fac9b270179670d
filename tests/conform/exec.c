/* execve(2): descriptors, offsets and the working directory go along. */
#include "t.h"

static int seen_argc;
static char **seen_argv;

static __attribute__((constructor)) void early(int argc, char **argv)
{
	seen_argc = argc;
	seen_argv = argv;
}

/* What this program does when it is the one executed. */
static int as_helper(int argc, char **argv)
{
	const char *what = argv[1] + 1;
	int fd = argc > 2 ? atoi(argv[2]) : -1;
	char buf[64];

	if (strcmp(what, "append") == 0)
		return write(fd, "after exec", 10) == 10 ? 0 : 11;
	if (strcmp(what, "read") == 0)
		return read(fd, buf, 3) == 3 && memcmp(buf, "345", 3) == 0 ? 0
									   : 12;
	if (strcmp(what, "closed") == 0)
		return fcntl(fd, F_GETFD) == -1 && errno == EBADF ? 0 : 13;
	if (strcmp(what, "cwd") == 0) {
		char cwd[PATH_MAX];

		if (!getcwd(cwd, sizeof(cwd)) || strcmp(cwd, argv[2]) != 0)
			return 14;
		return open("f", O_RDONLY) >= 0 ? 0 : 15;
	}
	if (strcmp(what, "flags") == 0) {
		int flags = fcntl(fd, F_GETFL);

		return (flags & O_ACCMODE) == O_RDWR && (flags & O_APPEND) ? 0
									   : 16;
	}
	if (strcmp(what, "twins") == 0) {
		int other = atoi(argv[3]);

		if (lseek(fd, 5, SEEK_SET) != 5 ||
		    lseek(other, 0, SEEK_CUR) != 5)
			return 17;
		return 0;
	}
	if (strcmp(what, "again") == 0) {
		char left[16];
		int n = atoi(argv[3]);

		if (write(fd, "x", 1) != 1)
			return 18;
		if (n == 0)
			return 0;
		snprintf(left, sizeof(left), "%d", n - 1);
		execl(argv[0], argv[0], "@again", argv[2], left, (char *)NULL);
		return 19;
	}
	if (strcmp(what, "unlinked") == 0)
		return pread(fd, buf, 6, 0) == 6 && !memcmp(buf, "hidden", 6)
			       ? 0
			       : 20;
	if (strcmp(what, "nameless") == 0) {
		struct stat st;

		if (fstat(fd, &st) != 0 || st.st_nlink != 0)
			return 23;
		return write(fd, "more", 4) == 4 && ftruncate(fd, 2) == 0 ? 0
									  : 24;
	}
	if (strcmp(what, "dir") == 0)
		return openat(fd, "f", O_RDONLY) >= 0 ? 0 : 21;
	if (strcmp(what, "named") == 0) {
		const char *base = strrchr(argv[0], '/') + 1;

		/* What libc and constructors know of the arguments. */
		return strcmp(program_invocation_name, argv[0]) == 0 &&
				       strcmp(program_invocation_short_name,
					      base) == 0 &&
				       seen_argc == argc && seen_argv == argv
			       ? 0
			       : 25;
	}
	if (strcmp(what, "lowest") == 0)
		return open("/dev/null", O_RDONLY) == fd ? 0 : 22;
	return 99;
}

struct command {
	char *argv[8];
	int fd; /* what the child does before: put this on 1 */
};

static void executes(void *arg)
{
	struct command *command = arg;

	if (command->fd >= 0)
		MUST(dup2(command->fd, 1));
	execv(command->argv[0], command->argv);
	t_fail(T_HERE, "execv %s: %s", command->argv[0], strerror(errno));
}

static void helper(const char *what, int fd, const char *more)
{
	char number[16];
	struct command command = {.fd = -1};

	snprintf(number, sizeof(number), "%d", fd);
	command.argv[0] = (char *)t_self;
	command.argv[1] = (char *)what;
	command.argv[2] = number;
	command.argv[3] = (char *)more;
	CHECK_CHILD(executes, &command);
}

static void removed_working_directory(void *arg)
{
	char *argv[] = {"/bin/sh", "-c", arg, NULL};

	MUST(mkdir(t_at("gone"), 0755));
	MUST(chdir(t_at("gone")));
	MUST(rmdir(t_at("gone")));
	execv(argv[0], argv);
	t_fail(T_HERE, "execv: %s", strerror(errno));
}

/* A removed working directory stays removed in the next program. */
static void from_nowhere(void)
{
	char script[2 * PATH_MAX];

	snprintf(script, sizeof(script),
		 "/bin/pwd > %s 2> /dev/null && exit 1; ! touch x 2> /dev/null",
		 t_at("out"));
	CHECK_CHILD(removed_working_directory, script);
	CHECK_EQ(t_size(t_at("out")), 0);
	CHECK(!t_exists(t_at("gone")));
}

static void descriptor_goes_along(void)
{
	char got[4];
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	CHECK_EQ(write(fd, "before ", 7), 7);
	helper("@append", fd, NULL);
	CHECK_FILE(t_at("f"), "before after exec");
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 17);
	CHECK_OK(close(fd));
	t_put(t_at("g"), "0123456789");
	fd = MUST(open(t_at("g"), O_RDONLY));
	CHECK_EQ(read(fd, got, 3), 3);
	helper("@read", fd, NULL);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 6);
	CHECK_OK(close(fd));
}

static void cloexec_does_not(void)
{
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT | O_CLOEXEC, 0644));

	helper("@closed", fd, NULL);
	CHECK_OK(fcntl(fd, F_SETFD, 0));
	helper("@append", fd, NULL);
	CHECK_OK(fcntl(fd, F_SETFD, FD_CLOEXEC));
	helper("@closed", fd, NULL);
	CHECK_OK(close(fd));
}

static void flags_and_twins(void)
{
	char number[16];
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT | O_APPEND, 0644));

	helper("@flags", fd, NULL);
	int twin = MUST(dup(fd));

	snprintf(number, sizeof(number), "%d", twin);
	helper("@twins", fd, number);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 5);
	CHECK_OK(close(fd));
	CHECK_OK(close(twin));
}

static void working_directory(void)
{
	struct command command = {.fd = -1};

	MUST(mkdir(t_at("d"), 0755));
	t_put(t_at("d/f"), "x");
	MUST(chdir(t_at("d")));
	command.argv[0] = (char *)t_self;
	command.argv[1] = "@cwd";
	command.argv[2] = t_at("d");
	CHECK_CHILD(executes, &command);
}

static void directory_descriptor(void)
{
	t_put(t_at("f"), "x");
	int fd = MUST(open(t_dir, O_RDONLY | O_DIRECTORY));

	helper("@dir", fd, NULL);
	CHECK_OK(close(fd));
}

static void again_and_again(void)
{
	int fd = MUST(open(t_at("f"), O_WRONLY | O_CREAT, 0644));

	helper("@again", fd, "9");
	CHECK_FILE(t_at("f"), "xxxxxxxxxx");
	CHECK_OK(close(fd));
}

static void unlinked_file(void)
{
	t_put(t_at("f"), "hidden");
	int fd = MUST(open(t_at("f"), O_RDONLY));

	MUST(unlink(t_at("f")));
	helper("@unlinked", fd, NULL);
	CHECK_OK(close(fd));
	t_put(t_at("f"), "hidden");
	fd = MUST(open(t_at("f"), O_RDWR));
	MUST(unlink(t_at("f")));
	helper("@nameless", fd, NULL);
	struct stat st;

	CHECK_OK(fstat(fd, &st));
	CHECK_EQ(st.st_size, 2);
	CHECK_EQ(st.st_nlink, 0);
	/* Renamed over, then exec. */
	t_put(t_at("old"), "hidden");
	t_put(t_at("new"), "new");
	int old = MUST(open(t_at("old"), O_RDONLY));

	MUST(rename(t_at("new"), t_at("old")));
	helper("@unlinked", old, NULL);
	CHECK_FILE(t_at("old"), "new");
	CHECK_OK(close(old));
	CHECK_OK(close(fd));
}

/* The program's output redirected, the program not one of ours. */
static void redirected(void)
{
	struct command echo = {.argv = {"/bin/echo", "redirected", NULL}};
	struct command sh = {.argv = {"/bin/sh", "-c",
				      "echo one; /bin/echo two; echo three",
				      NULL}};

	echo.fd = MUST(open(t_at("f"), O_WRONLY | O_CREAT, 0644));
	CHECK_CHILD(executes, &echo);
	CHECK_FILE(t_at("f"), "redirected\n");
	CHECK_CHILD(executes, &echo);
	CHECK_FILE(t_at("f"), "redirected\nredirected\n");
	CHECK_OK(close(echo.fd));
	sh.fd = MUST(open(t_at("g"), O_WRONLY | O_CREAT, 0644));
	CHECK_CHILD(executes, &sh);
	CHECK_FILE(t_at("g"), "one\ntwo\nthree\n");
	CHECK_OK(close(sh.fd));
}

static void environment_is_the_caller_s(void *arg)
{
	char *argv[] = {"/bin/sh", "-c", arg, NULL};
	char *envp[] = {"MINE=yes", "PATH=/bin:/usr/bin", NULL};

	execve("/bin/sh", argv, envp);
	t_fail(T_HERE, "execve: %s", strerror(errno));
}

static void own_environment(void)
{
	char script[PATH_MAX + 64];

	snprintf(script, sizeof(script), "echo $MINE $HOME > %s", t_at("f"));
	CHECK_CHILD(environment_is_the_caller_s, script);
	CHECK_FILE(t_at("f"), "yes\n");
}

/* A program that begins with a file open knows its name. */
static void own_name(void)
{
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	helper("@named", fd, NULL);
	MUST(chdir(t_dir));
	helper("@named", fd, NULL);
	CHECK_OK(close(fd));
}

static void lowest_number(void)
{
	int fd = MUST(open("/dev/null", O_RDONLY));

	/* What carries us over must not occupy the next low number. */
	MUST(close(MUST(open(t_at("f"), O_RDWR | O_CREAT | O_CLOEXEC, 0644))));
	MUST(close(fd));
	helper("@lowest", fd, NULL);
}

static void failing(void)
{
	char *argv[] = {"x", NULL};

	t_put(t_at("plain"), "x");
	CHECK_ERRNO(execv(t_at("none"), argv), ENOENT);
	CHECK_ERRNO(execv(t_at("plain"), argv), EACCES);
	CHECK_ERRNO(execv(t_dir, argv), EACCES);
	CHECK_ERRNO(execv(t_at("plain/x"), argv), ENOTDIR);
	CHECK_ERRNO(execve(t_bad_pointer(0), argv, argv), EFAULT);
	CHECK_ERRNO(execv("", argv), ENOENT);
	MUST(chmod(t_at("plain"), 0755));
	t_put(t_at("plain"), "not a program");
	CHECK_ERRNO(execv(t_at("plain"), argv), ENOEXEC);
	/* Everything still works afterwards. */
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	CHECK_ERRNO(execv(t_at("none"), argv), ENOENT);
	CHECK_EQ(write(fd, "ok", 2), 2);
	CHECK_OK(close(fd));
}

static const struct t_case cases[] = {
	CASE(descriptor_goes_along), CASE(cloexec_does_not),
	CASE(flags_and_twins),	     CASE(working_directory),
	CASE(directory_descriptor),  CASE(again_and_again),
	CASE(unlinked_file),	     CASE(redirected),
	CASE(own_environment),	     CASE(own_name),
	CASE(lowest_number),	     CASE(failing),
	CASE(from_nowhere),
};

int main(int argc, char **argv)
{
	if (argc > 1 && argv[1][0] == '@')
		return as_helper(argc, argv);
	return t_run(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
