/*
 * A bit of everything, step by step, for runs in which one DFS call fails or
 * kills the process. A step answers 0, an errno, or WRONG for bytes that are
 * not what was written. One that failed with the expected errno is tried again
 * in a fresh directory and must then succeed; nothing else may go wrong.
 *
 *	workload DIR [EXPECTED-ERRNO]
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define WRONG (-1)
#define TEXT "hello, world"
#define LEN ((ssize_t)strlen(TEXT))

#define TRY(expr)                                                              \
	do {                                                                   \
		errno = 0;                                                     \
		if ((long)(expr) == -1)                                        \
			return errno;                                          \
	} while (0)

#define SAME(expr)                                                             \
	do {                                                                   \
		if (!(expr)) {                                                 \
			printf("line %d: %s\n", __LINE__, #expr);              \
			return WRONG;                                          \
		}                                                              \
	} while (0)

static int put(const char *name, const char *text)
{
	int fd;

	TRY(fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644));
	ssize_t n = write(fd, text, strlen(text));
	int error = n < 0 ? errno : 0;

	if (close(fd) != 0 && !error)
		error = errno;
	if (error)
		return error;
	SAME(n == (ssize_t)strlen(text));
	return 0;
}

static int holds(const char *name, const char *text)
{
	char got[256];
	int fd;

	TRY(fd = open(name, O_RDONLY));
	ssize_t n = read(fd, got, sizeof(got));
	int error = n < 0 ? errno : 0;

	close(fd);
	if (error)
		return error;
	SAME(n == (ssize_t)strlen(text) && memcmp(got, text, n) == 0);
	return 0;
}

#define PASS_ON(expr)                                                          \
	do {                                                                   \
		int pass = (expr);                                             \
		if (pass)                                                      \
			return pass;                                           \
	} while (0)

static int write_and_read(void)
{
	PASS_ON(put("f", TEXT));
	return holds("f", TEXT);
}

static int positioned(void)
{
	char got[32];
	int fd;

	PASS_ON(put("f", TEXT));
	TRY(fd = open("f", O_RDWR));
	ssize_t n = pwrite(fd, "J", 1, 0);
	int error = n < 0 ? errno : 0;

	if (!error) {
		n = pread(fd, got, sizeof(got), 0);
		error = n < 0 ? errno : 0;
	}
	/* Whatever happened, the descriptor can be closed. */
	if (close(fd) != 0 && !error)
		error = errno;
	if (error)
		return error;
	SAME(n == LEN && memcmp(got, "Jello, world", n) == 0);
	return 0;
}

static int appends(void)
{
	int fd;

	PASS_ON(put("f", "one"));
	TRY(fd = open("f", O_WRONLY | O_APPEND));
	ssize_t n = write(fd, "two", 3);
	int error = n < 0 ? errno : 0;

	if (close(fd) != 0 && !error)
		error = errno;
	if (error) {
		/* A write that failed has written nothing. */
		int now = holds("f", "one");

		return now == WRONG ? WRONG : error;
	}
	return holds("f", "onetwo");
}

static int truncates(void)
{
	struct stat st;

	PASS_ON(put("f", TEXT));
	TRY(truncate("f", 5));
	TRY(stat("f", &st));
	SAME(st.st_size == 5);
	TRY(truncate("f", 2 << 20));
	TRY(stat("f", &st));
	SAME(st.st_size == 2 << 20);
	return 0;
}

static int attributes(void)
{
	struct stat st;
	struct timespec times[2] = {{1, 0}, {2, 3}};

	PASS_ON(put("f", TEXT));
	TRY(chmod("f", 0600));
	TRY(chown("f", geteuid(), getegid()));
	TRY(utimensat(AT_FDCWD, "f", times, 0));
	TRY(lstat("f", &st));
	SAME((st.st_mode & 07777) == 0600 && st.st_mtim.tv_nsec == 3);
	TRY(access("f", R_OK | W_OK));
	return holds("f", TEXT);
}

static int renames(void)
{
	PASS_ON(put("a", TEXT));
	TRY(mkdir("d", 0755));
	if (rename("a", "d/b") != 0) {
		int error = errno;

		/* The file is at one of the two places. */
		if (access("a", F_OK) != 0 && access("d/b", F_OK) != 0)
			return WRONG;
		return error;
	}
	return holds("d/b", TEXT);
}

static int replaces(void)
{
	PASS_ON(put("new", "new"));
	PASS_ON(put("old", "old"));
	if (rename("new", "old") != 0) {
		int error = errno;

		/* The target is the old or the new file, never nothing. */
		int is_old = holds("old", "old"), is_new = holds("old", "new");

		if (is_old == WRONG && is_new == WRONG)
			return WRONG;
		return error;
	}
	return holds("old", "new");
}

static int replaces_an_open_file(void)
{
	char got[8] = "";
	int fd, error = 0;

	PASS_ON(put("new", "new"));
	PASS_ON(put("old", "old"));
	TRY(fd = open("old", O_RDONLY));
	if (rename("new", "old") != 0)
		error = errno;
	ssize_t n = read(fd, got, sizeof(got));

	if (n < 0 && !error)
		error = errno;
	close(fd);
	SAME(n < 0 || (n == 3 && memcmp(got, "old", 3) == 0));
	return error ? error : holds("old", "new");
}

static int unlinks_an_open_file(void)
{
	char got[32];
	int fd, error = 0;

	PASS_ON(put("f", TEXT));
	TRY(fd = open("f", O_RDWR));
	if (unlink("f") != 0)
		error = errno;
	ssize_t n = pread(fd, got, sizeof(got), 0);

	if (n < 0 && !error)
		error = errno;
	close(fd);
	SAME(n < 0 || (n == LEN && memcmp(got, TEXT, n) == 0));
	if (error)
		return error;
	SAME(access("f", F_OK) != 0);
	return 0;
}

static int directories(void)
{
	struct dirent *entry;
	int count = 0;

	TRY(mkdir("d", 0755));
	for (int i = 0; i < 20; i++) {
		char name[16];

		snprintf(name, sizeof(name), "d/%d", i);
		PASS_ON(put(name, "x"));
	}
	DIR *dir = opendir("d");

	if (!dir)
		return errno;
	errno = 0;
	while ((entry = readdir(dir)))
		count++;
	int error = errno;

	closedir(dir);
	if (error)
		return error;
	SAME(count == 22);
	for (int i = 0; i < 20; i++) {
		char name[16];

		snprintf(name, sizeof(name), "d/%d", i);
		TRY(unlink(name));
	}
	TRY(rmdir("d"));
	return 0;
}

static int links(void)
{
	char got[16];

	PASS_ON(put("f", TEXT));
	TRY(symlink("f", "l"));
	ssize_t n = readlink("l", got, sizeof(got));

	if (n < 0)
		return errno;
	SAME(n == 1 && got[0] == 'f');
	return holds("l", TEXT);
}

static int extended_attributes(void)
{
	char got[32];
	ssize_t n;

	PASS_ON(put("f", TEXT));
	TRY(setxattr("f", "user.a", "value", 5, XATTR_CREATE));
	TRY(n = getxattr("f", "user.a", got, sizeof(got)));
	SAME(n == 5 && memcmp(got, "value", 5) == 0);
	TRY(n = listxattr("f", got, sizeof(got)));
	SAME(n == sizeof("user.a"));
	TRY(removexattr("f", "user.a"));
	return 0;
}

static int maps(void)
{
	int fd;

	PASS_ON(put("f", TEXT));
	TRY(fd = open("f", O_RDWR));
	char *m = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	int error = m == MAP_FAILED ? errno : 0;

	if (!error) {
		bool same = memcmp(m, TEXT, LEN) == 0;

		m[0] = 'J';
		if (msync(m, LEN, MS_SYNC) != 0)
			error = errno;
		munmap(m, LEN);
		SAME(same);
	}
	if (close(fd) != 0 && !error)
		error = errno;
	return error ? error : holds("f", "Jello, world");
}

static int working_directory(void)
{
	char before[PATH_MAX], now[PATH_MAX];

	if (!getcwd(before, sizeof(before)))
		return errno;
	TRY(mkdir("d", 0755));
	TRY(chdir("d"));
	int error = put("f", TEXT);

	if (!error && !getcwd(now, sizeof(now)))
		error = errno;
	TRY(chdir(before));
	if (error)
		return error;
	SAME(strncmp(now, before, strlen(before)) == 0);
	return holds("d/f", TEXT);
}

static int forks(void)
{
	int fd, status = 0;

	TRY(fd = open("f", O_RDWR | O_CREAT, 0644));
	fflush(stdout);
	pid_t pid = fork();

	if (pid == 0)
		_exit(write(fd, TEXT, LEN) == LEN ? 0 : errno);
	waitpid(pid, &status, 0);
	close(fd);
	if (!WIFEXITED(status))
		return WRONG;
	return WEXITSTATUS(status) ? WEXITSTATUS(status) : holds("f", TEXT);
}

static int space(void)
{
	struct statvfs st;
	int fd;

	TRY(statvfs(".", &st));
	SAME(st.f_blocks > 0);
	TRY(fd = open("f", O_RDWR | O_CREAT, 0644));
	int error = fallocate(fd, 0, 0, 1000) != 0 ? errno : 0;
	struct stat now;

	if (!error && fstat(fd, &now) != 0)
		error = errno;
	close(fd);
	if (error)
		return error;
	SAME(now.st_size == 1000);
	return 0;
}

static int streams(void)
{
	char line[32] = "";
	FILE *f = fopen("f", "w+");

	if (!f)
		return errno;
	int error = fprintf(f, "%s", TEXT) < 0 || fflush(f) != 0 ? errno : 0;

	rewind(f);
	if (!error && !fgets(line, sizeof(line), f))
		error = errno ? errno : WRONG;
	if (fclose(f) != 0 && !error)
		error = errno;
	if (error)
		return error;
	SAME(strcmp(line, TEXT) == 0);
	return 0;
}

static const struct {
	const char *name;
	int (*run)(void);
} steps[] = {
	{"write_and_read", write_and_read},
	{"positioned", positioned},
	{"appends", appends},
	{"truncates", truncates},
	{"attributes", attributes},
	{"renames", renames},
	{"replaces", replaces},
	{"replaces_an_open_file", replaces_an_open_file},
	{"unlinks_an_open_file", unlinks_an_open_file},
	{"directories", directories},
	{"links", links},
	{"extended_attributes", extended_attributes},
	{"maps", maps},
	{"working_directory", working_directory},
	{"forks", forks},
	{"space", space},
	{"streams", streams},
};

static const char *top;

static int attempt(int step, const char *suffix)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s%s", top, steps[step].name, suffix);
	TRY(mkdir(path, 0755));
	TRY(chdir(path));
	return steps[step].run();
}

static int expected, forgiven;

/* The fault may strike while we look: then once more. */
static bool once_more(void)
{
	return expected && errno == expected && forgiven++ == 0;
}

/* Every name leads to something that can be read. */
static int walk(const char *path)
{
	char inner[PATH_MAX], buf[4096];
	struct dirent *entry;
	struct stat st;
	int wrong = 0;
	DIR *dir = opendir(path);

	if (!dir && once_more())
		dir = opendir(path);
	if (!dir) {
		printf("%s: %s\n", path, strerror(errno));
		return 1;
	}
	while ((entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") == 0 ||
		    strcmp(entry->d_name, "..") == 0)
			continue;
		snprintf(inner, sizeof(inner), "%.3000s/%s", path,
			 entry->d_name);
		if (lstat(inner, &st) != 0 &&
		    !(once_more() && lstat(inner, &st) == 0)) {
			printf("%s: %s\n", inner, strerror(errno));
			wrong++;
		} else if (S_ISDIR(st.st_mode)) {
			wrong += walk(inner);
		} else if (S_ISREG(st.st_mode)) {
			int fd = open(inner, O_RDONLY);

			if (fd < 0 && once_more())
				fd = open(inner, O_RDONLY);
			ssize_t n = read(fd, buf, sizeof(buf));

			if (n < 0 && once_more())
				n = read(fd, buf, sizeof(buf));
			if (n < 0) {
				printf("%s: %s\n", inner, strerror(errno));
				wrong++;
			}
			close(fd);
		}
	}
	closedir(dir);
	return wrong;
}

int main(int argc, char **argv)
{
	int wrong = 0, struck = 0;

	if (argc < 2)
		return 2;
	top = argv[1];
	expected = argc > 2 ? atoi(argv[2]) : 0;
	umask(022);
	if (mkdir(top, 0755) != 0 && errno != EEXIST && mkdir(top, 0755) != 0 &&
	    errno != EEXIST) {
		printf("%s: %s\n", top, strerror(errno));
		return 1;
	}
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		int error = attempt(i, "");

		if (!error)
			continue;
		/* Each forked child counts its calls anew, and is struck again. */
		bool again = steps[i].run == forks;

		struck += !again;
		forgiven++;
		if (error != expected) {
			printf("%s: %s\n", steps[i].name,
			       error == WRONG ? "wrong bytes"
					      : strerror(error));
			wrong++;
		}
		error = attempt(i, "-again");
		if (error && !(again && error == expected)) {
			printf("%s, again: %s\n", steps[i].name,
			       error == WRONG ? "wrong bytes"
					      : strerror(error));
			wrong++;
		}
	}
	if (struck > 1) {
		printf("%d steps failed of one fault\n", struck);
		wrong++;
	}
	if (chdir("/") != 0)
		wrong++;
	wrong += walk(top);
	return wrong != 0;
}
