/* /proc/self/fd/N, /dev/fd/N, /dev/stdin: names of open files. */
#include <dirent.h>
#include "t.h"

static void reopens(void)
{
	char name[64], got[16];

	t_put(t_at("f"), "0123456789");
	int fd = MUST(open(t_at("f"), O_RDWR));

	CHECK_EQ(read(fd, got, 4), 4);
	for (int way = 0; way < 3; way++) {
		static const char *const forms[] = {"/proc/self/fd/%d",
						    "/dev/fd/%d",
						    "/proc/self/fd/../fd/%d"};

		snprintf(name, sizeof(name), forms[way], fd);
		int again = MUST(open(name, O_RDONLY));

		/* A new description: from the start. */
		CHECK_EQ(read(again, got, 16), 10);
		CHECK_ERRNO(write(again, "x", 1), EBADF);
		CHECK_OK(close(again));
		struct stat st;

		CHECK_OK(stat(name, &st));
		CHECK_EQ(st.st_size, 10);
		CHECK_OK(lstat(name, &st));
		CHECK(S_ISLNK(st.st_mode));
		CHECK_OK(access(name, R_OK | W_OK));
	}
	snprintf(name, sizeof(name), "/proc/%d/fd/%d", getpid(), fd);
	int again = MUST(open(name, O_RDWR | O_TRUNC));

	CHECK_EQ(t_size(t_at("f")), 0);
	CHECK_OK(close(again));
	CHECK_OK(close(fd));
	CHECK_ERRNO(open(name, O_RDONLY), ENOENT);
}

static void tells_the_name(void)
{
	char name[64], got[PATH_MAX] = "";

	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(name, got, sizeof(got) - 1);

	CHECK_EQ(n, strlen(t_at("f")));
	CHECK_STR(got, t_at("f"));
	CHECK_OK(close(fd));
	fd = MUST(open(t_dir, O_RDONLY));
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	memset(got, 0, sizeof(got));
	CHECK(readlink(name, got, sizeof(got) - 1) > 0);
	CHECK_STR(got, t_dir);
	t_put(t_at("g"), "below");
	char below[PATH_MAX];

	snprintf(below, sizeof(below), "/proc/self/fd/%d/g", fd);
	CHECK_FILE(below, "below");
	CHECK_OK(close(fd));
}

static void unlinked(void)
{
	char name[64], got[8];

	t_put(t_at("f"), "hidden");
	int fd = MUST(open(t_at("f"), O_RDONLY));

	MUST(unlink(t_at("f")));
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	int again = MUST(open(name, O_RDONLY));

	CHECK_EQ(read(again, got, 8), 6);
	CHECK_OK(close(again));
	CHECK_OK(close(fd));
}

static void standard_input(void *arg)
{
	char got[16];

	(void)arg;
	MUST(dup2(MUST(open(t_at("f"), O_RDONLY)), 0));
	CHECK_EQ(read(0, got, 2), 2);
	int fd = MUST(open("/dev/stdin", O_RDONLY));

	CHECK_EQ(read(fd, got, 16), 10);
	CHECK_OK(close(fd));
	MUST(dup2(MUST(open(t_at("out"), O_WRONLY | O_CREAT, 0644)), 1));
	fd = MUST(open("/dev/stdout", O_WRONLY));
	CHECK_EQ(write(fd, "said", 4), 4);
	CHECK_OK(close(fd));
}

static void standard_names(void)
{
	t_put(t_at("f"), "0123456789");
	CHECK_CHILD(standard_input, NULL);
	CHECK_FILE(t_at("out"), "said");
}

static void listed(void)
{
	char want[16];
	bool seen = false;
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));
	DIR *dir = MUST_PTR(opendir("/proc/self/fd"));
	struct dirent *entry;

	snprintf(want, sizeof(want), "%d", fd);
	while ((entry = readdir(dir)))
		seen |= strcmp(entry->d_name, want) == 0;
	CHECK(seen);
	CHECK_OK(closedir(dir));
	CHECK_OK(close(fd));
}

static void of_kernel_files(void)
{
	char name[64];
	int pair[2];
	char c;

	MUST(pipe(pair));
	snprintf(name, sizeof(name), "/proc/self/fd/%d", pair[0]);
	int fd = MUST(open(name, O_RDONLY));

	CHECK_EQ(write(pair[1], "x", 1), 1);
	CHECK_EQ(read(fd, &c, 1), 1);
	CHECK_OK(close(fd));
	CHECK_OK(close(pair[0]));
	CHECK_OK(close(pair[1]));
}

T_MAIN(CASE(reopens), CASE(tells_the_name), CASE(unlinked),
       CASE(standard_names), CASE(listed), CASE(of_kernel_files))
