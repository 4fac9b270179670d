/* /proc/self/fd/N, /dev/fd/N, /dev/stdin: names of open files. */
#include <dirent.h>
#include <sys/syscall.h>
#include "t.h"

enum { NUMBERS = 4096 };

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

/* What a directory of descriptors lists, one mark a number; how many there are. */
static int numbers(const char *name, bool raw, bool listed[])
{
	char buf[200];
	int count = 0;
	int dir = MUST(open(name, O_RDONLY | O_DIRECTORY));
	long n;

	memset(listed, 0, NUMBERS);
	while ((n = syscall(raw ? SYS_getdents : SYS_getdents64, dir, buf,
			    sizeof(buf))) > 0) {
		for (long at = 0; at < n;) {
			unsigned short len;

			memcpy(&len, buf + at + 16, 2);
			const char *entry = buf + at + (raw ? 18 : 19);

			at += len;
			if (*entry == '.')
				continue;
			CHECK(atoi(entry) < NUMBERS);
			listed[atoi(entry) % NUMBERS] = true;
			count++;
		}
	}
	CHECK_EQ(n, 0);
	CHECK_OK(close(dir));
	listed[dir] = false;
	return count - 1;
}

/* Every number that is open is listed, and no other. */
static void compare(const char *name)
{
	bool listed[NUMBERS];

	for (int raw = 0; raw < 2; raw++) {
		int count = numbers(name, raw, listed), open_ones = 0;

		for (int fd = 0; fd < NUMBERS; fd++) {
			bool is_open = fcntl(fd, F_GETFD) != -1;

			open_ones += is_open;
			if (is_open != listed[fd])
				t_fail(T_HERE, "%s: %d is %s", name, fd,
				       is_open ? "not listed" : "listed");
		}
		CHECK_EQ(count, open_ones);
	}
}

static void compare_all(void *arg)
{
	char name[64];

	(void)arg;
	compare("/proc/self/fd");
	compare("/proc/thread-self/fd");
	compare("/dev/fd");
	compare("/dev/fd/");
	compare("/proc/self/../self/fd");
	snprintf(name, sizeof(name), "/proc/%d/fd", getpid());
	compare(name);
	snprintf(name, sizeof(name), "/proc/self/task/%d/fd", getpid());
	compare(name);
	CHECK_OK(chdir("/proc/self"));
	compare("fd");
	CHECK_OK(chdir("/"));
}

static void lists_what_is_open(void)
{
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));
	int dir = MUST(open(t_dir, O_RDONLY));
	int high = MUST(fcntl(fd, F_DUPFD, 900));
	struct flock lock = {.l_type = F_WRLCK};

	CHECK_OK(fcntl(fd, F_SETLK, &lock));
	compare_all(NULL);
	CHECK_CHILD(compare_all, NULL);
	CHECK_OK(close(high));
	CHECK_OK(close(dir));
	CHECK_OK(close(fd));
	compare_all(NULL);
}

/* Positions of such a directory. */
static void listing_again(void)
{
	DIR *dir = MUST_PTR(opendir("/proc/self/fd"));
	struct dirent *entry;
	char names[2][4096] = {""};

	for (int round = 0; round < 2; round++) {
		while ((entry = readdir(dir)))
			strcat(strcat(names[round], entry->d_name), " ");
		rewinddir(dir);
	}
	CHECK_STR(names[0], names[1]);
	CHECK_OK(closedir(dir));
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
       CASE(standard_names), CASE(listed), CASE(lists_what_is_open),
       CASE(listing_again), CASE(of_kernel_files))
