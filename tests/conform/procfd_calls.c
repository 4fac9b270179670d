/*
 * Every call on an open file through its names in /proc and /dev: attributes,
 * extended attributes, linking it, and what may not be done.
 */
#include <dirent.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include "t.h"

enum { WAYS = 6 };

/* The name of a descriptor, in one of its forms. */
static char *name_of(int fd, int way)
{
	static char bufs[16][96];
	static unsigned int next;
	char *buf = bufs[next++ % 16];
	int tid = syscall(SYS_gettid);

	switch (way) {
	case 0:
		snprintf(buf, 96, "/proc/self/fd/%d", fd);
		break;
	case 1:
		snprintf(buf, 96, "/dev/fd/%d", fd);
		break;
	case 2:
		snprintf(buf, 96, "/proc/thread-self/fd/%d", fd);
		break;
	case 3:
		snprintf(buf, 96, "/proc/%d/fd/%d", getpid(), fd);
		break;
	case 4:
		snprintf(buf, 96, "/proc/self/task/%d/fd/%d", tid, fd);
		break;
	default:
		snprintf(buf, 96, "/proc/%d/task/%d/fd/%d", getpid(), tid, fd);
	}
	return buf;
}

static struct stat st_of(const char *path)
{
	struct stat st;

	MUST(stat(path, &st));
	return st;
}

static void attributes(void)
{
	struct timespec ts[2] = {{1, 0}, {1234567890, 987654321}};
	struct statx x;
	struct stat st, want;
	char value[8], list[64];

	t_put(t_at("f"), "0123456789");
	int fd = MUST(open(t_at("f"), O_RDONLY));

	want = st_of(t_at("f"));
	for (int way = 0; way < WAYS; way++) {
		const char *name = name_of(fd, way);

		CHECK_OK(stat(name, &st));
		CHECK_EQ(st.st_ino, want.st_ino);
		CHECK_EQ(st.st_dev, want.st_dev);
		CHECK(S_ISREG(st.st_mode));
		CHECK_OK(lstat(name, &st));
		CHECK(S_ISLNK(st.st_mode));
		CHECK_OK(statx(AT_FDCWD, name, 0, STATX_BASIC_STATS, &x));
		CHECK_EQ(x.stx_ino, want.st_ino);
		CHECK_OK(chmod(name, 0600 + way));
		CHECK_EQ(t_mode(t_at("f")), S_IFREG | (0600 + way));
		CHECK_OK(chmod(name, 0644));
		CHECK_OK(chown(name, geteuid(), getegid()));
		ts[1].tv_sec++;
		CHECK_OK(utimensat(AT_FDCWD, name, ts, 0));
		CHECK_EQ(st_of(t_at("f")).st_mtim.tv_sec, ts[1].tv_sec);
		CHECK_OK(utimes(name, (struct timeval[2]){{1, 0}, {5, 0}}));
		CHECK_EQ(st_of(t_at("f")).st_mtim.tv_sec, 5);
		CHECK_OK(access(name, R_OK | W_OK));
		CHECK_ERRNO(access(name, X_OK), EACCES);
		CHECK_OK(eaccess(name, R_OK));
		CHECK_OK(truncate(name, 9 - way));
		CHECK_EQ(t_size(t_at("f")), 9 - way);
		CHECK_OK(setxattr(name, "user.key", "value", 5, 0));
		CHECK_EQ(getxattr(name, "user.key", value, 8), 5);
		CHECK_MEM(value, "value", 5);
		CHECK_EQ(listxattr(name, list, sizeof(list)), 9);
		CHECK_EQ(getxattr(t_at("f"), "user.key", value, 8), 5);
		CHECK_OK(removexattr(name, "user.key"));
		CHECK_ERRNO(getxattr(t_at("f"), "user.key", value, 8), ENODATA);
		struct statvfs vfs, direct;

		CHECK_OK(statvfs(name, &vfs));
		CHECK_OK(statvfs(t_at("f"), &direct));
		CHECK_EQ(vfs.f_fsid, direct.f_fsid);
		CHECK_OK(link(t_at("f"), t_at("g")) == 0 || t_mount() ? 0 : -1);
		unlink(t_at("g"));
	}
	CHECK_OK(close(fd));
	for (int way = 0; way < WAYS; way++)
		CHECK_ERRNO(stat(name_of(fd, way), &st), ENOENT);
}

/* A new description each time, with rights of its own. */
static void opening(void)
{
	char got[16];

	t_put(t_at("f"), "0123456789");
	for (int way = 0; way < WAYS; way++) {
		int fd = MUST(open(t_at("f"), O_RDONLY));
		const char *name = name_of(fd, way);
		int out = MUST(open(name, O_WRONLY));

		CHECK_EQ(write(out, "A", 1), 1);
		CHECK_ERRNO(read(out, got, 1), EBADF);
		CHECK_EQ(lseek(fd, 0, SEEK_CUR), 0);
		CHECK_OK(close(out));
		/* As a shell's redirection does it. */
		out = MUST(open(name, O_WRONLY | O_CREAT | O_TRUNC, 0666));
		CHECK_EQ(t_size(t_at("f")), 0);
		CHECK_EQ(write(out, "0123456789", 10), 10);
		CHECK_OK(close(out));
		out = MUST(open(name, O_WRONLY | O_CREAT | O_APPEND, 0666));
		CHECK_EQ(write(out, "+", 1), 1);
		CHECK_OK(close(out));
		CHECK_FILE(t_at("f"), "0123456789+");
		CHECK_ERRNO(open(name, O_RDWR | O_CREAT | O_EXCL, 0666),
			    EEXIST);
		CHECK_ERRNO(open(name, O_RDONLY | O_NOFOLLOW), ELOOP);
		CHECK_ERRNO(open(name, O_RDONLY | O_DIRECTORY), ENOTDIR);
		CHECK_OK(close(fd));
	}
	/* From a descriptor that cannot read or write. */
	int path = MUST(open(t_at("f"), O_PATH));
	int fd = MUST(open(name_of(path, 0), O_RDWR));

	CHECK_EQ(read(fd, got, 16), 11);
	CHECK_OK(close(fd));
	CHECK_OK(chmod(name_of(path, 0), 0600));
	CHECK_EQ(t_mode(t_at("f")), S_IFREG | 0600);
	CHECK_OK(close(path));
	/* The mode of the file counts, not the way it was opened. */
	fd = MUST(open(t_at("f"), O_RDWR));
	MUST(chmod(t_at("f"), 0400));
	if (!t_root())
		CHECK_ERRNO(open(name_of(fd, 0), O_RDWR), EACCES);
	CHECK_OK(close(open(name_of(fd, 1), O_RDONLY)));
	CHECK_OK(close(fd));
}

static void standard_names_in_child(void *arg)
{
	static const char *const names[] = {"/dev/stdin", "/dev/stdout",
					    "/dev/stderr"};
	struct stat st, want;

	(void)arg;
	int keep = MUST(dup(2));
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	for (int i = 0; i < 3; i++)
		MUST(dup2(fd, i));
	MUST(fstat(fd, &want));
	int wrong = 0;

	for (int i = 0; i < 3; i++) {
		int again = open(names[i], O_RDWR | O_CREAT, 0666);

		wrong += again < 0 || close(again) != 0;
		wrong += stat(names[i], &st) != 0 || st.st_ino != want.st_ino;
		wrong += chmod(names[i], 0600 + i) != 0;
		wrong += t_mode(t_at("f")) != (S_IFREG | (mode_t)(0600 + i));
		wrong += lstat(names[i], &st) != 0 || !S_ISLNK(st.st_mode);
		wrong += access(names[i], R_OK) != 0;
	}
	MUST(dup2(keep, 2));
	CHECK_EQ(wrong, 0);
}

static void standard_names(void)
{
	CHECK_CHILD(standard_names_in_child, NULL);
}

static void directories(void)
{
	char got[PATH_MAX];
	struct stat st;

	MUST(mkdir(t_at("d"), 0755));
	MUST(mkdir(t_at("d/e"), 0755));
	t_put(t_at("d/f"), "below");
	int fd = MUST(open(t_at("d"), O_RDONLY | O_DIRECTORY));

	for (int way = 0; way < WAYS; way++) {
		const char *name = name_of(fd, way);

		snprintf(got, sizeof(got), "%s/f", name);
		CHECK_FILE(got, "below");
		snprintf(got, sizeof(got), "%s/e/../f", name);
		CHECK_FILE(got, "below");
		snprintf(got, sizeof(got), "%s/..", name);
		CHECK_OK(stat(got, &st));
		CHECK_EQ(st.st_ino, st_of(t_dir).st_ino);
		snprintf(got, sizeof(got), "%s/new", name);
		t_put(got, "made");
		CHECK_FILE(t_at("d/new"), "made");
		snprintf(got, sizeof(got), "%s/e/g", name);
		t_put(got, "made");
		CHECK_OK(rename(got, t_at("d/e/h")));
		CHECK_OK(unlink(t_at("d/e/h")));
		CHECK_OK(unlink(t_at("d/new")));
		snprintf(got, sizeof(got), "%s/", name);
		CHECK_OK(lstat(got, &st));
		CHECK(S_ISDIR(st.st_mode));
		CHECK_OK(chmod(name, 0700));
		CHECK_EQ(t_mode(t_at("d")), S_IFDIR | 0700);
		DIR *dir = MUST_PTR(opendir(name));
		int count = 0;

		while (readdir(dir))
			count++;
		CHECK_EQ(count, 4);
		CHECK_OK(closedir(dir));
		CHECK_OK(chdir(name));
		CHECK_FILE("f", "below");
		CHECK_STR(getcwd(got, sizeof(got)), t_at("d"));
		CHECK_OK(chdir("/"));
	}
	CHECK_OK(close(fd));
	/* The working directory has a name, too. */
	CHECK_OK(chdir(t_at("d")));
	CHECK_FILE("/proc/self/cwd/f", "below");
	CHECK_FILE("/proc/thread-self/cwd/f", "below");
	CHECK_OK(stat("/proc/self/cwd", &st));
	CHECK_EQ(st.st_ino, st_of(t_at("d")).st_ino);
	memset(got, 0, sizeof(got));
	CHECK(readlink("/proc/self/cwd", got, sizeof(got) - 1) > 0);
	CHECK_STR(got, t_at("d"));
	CHECK_OK(stat("/proc/self/cwd/../d/f", &st));
	/* Through the root. */
	snprintf(got, sizeof(got), "/proc/self/root%s", t_at("d/f"));
	CHECK_FILE(got, "below");
	CHECK_OK(chdir("/"));
}

/* From the directory of names itself. */
static void relative(void)
{
	struct stat st, want;
	char name[32], got[PATH_MAX] = "";

	t_put(t_at("f"), "0123456789");
	int fd = MUST(open(t_at("f"), O_RDONLY));
	int dir = MUST(open("/proc/self/fd", O_RDONLY | O_DIRECTORY));

	want = st_of(t_at("f"));
	snprintf(name, sizeof(name), "%d", fd);
	CHECK_OK(fstatat(dir, name, &st, 0));
	CHECK_EQ(st.st_ino, want.st_ino);
	CHECK_EQ(st.st_size, 10);
	CHECK(readlinkat(dir, name, got, sizeof(got) - 1) > 0);
	CHECK_STR(got, t_at("f"));
	int again = openat(dir, name, O_RDONLY);

	CHECK_EQ(read(again, got, 16), 10);
	CHECK_OK(close(again));
	CHECK_OK(fchmodat(dir, name, 0600, 0));
	CHECK_EQ(t_mode(t_at("f")), S_IFREG | 0600);
	CHECK_OK(faccessat(dir, name, R_OK, 0));
	CHECK_OK(close(dir));
	CHECK_OK(chdir("/proc/self/fd"));
	CHECK_OK(stat(name, &st));
	CHECK_EQ(st.st_ino, want.st_ino);
	again = open(name, O_RDONLY);
	CHECK_EQ(read(again, got, 16), 10);
	CHECK_OK(close(again));
	CHECK_OK(chdir("/proc/self"));
	snprintf(name, sizeof(name), "fd/%d", fd);
	CHECK_OK(stat(name, &st));
	CHECK_EQ(st.st_ino, want.st_ino);
	CHECK_OK(chdir("/dev"));
	CHECK_OK(stat(name, &st));
	CHECK_EQ(st.st_ino, want.st_ino);
	CHECK_OK(chdir("/"));
	CHECK_OK(close(fd));
}

/* A link of the program's own to such a name, here and in /tmp. */
static void through_links(void)
{
	char got[16], name[64], tmp[] = "/tmp/procfd-XXXXXX", link[64];
	struct stat st;

	t_put(t_at("f"), "0123456789");
	int fd = MUST(open(t_at("f"), O_RDONLY));

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	MUST(symlink(name, t_at("l")));
	int again = MUST(open(t_at("l"), O_RDONLY));

	CHECK_EQ(read(again, got, 16), 10);
	CHECK_OK(close(again));
	CHECK_OK(stat(t_at("l"), &st));
	CHECK_EQ(st.st_ino, st_of(t_at("f")).st_ino);
	MUST_PTR(mkdtemp(tmp));
	snprintf(link, sizeof(link), "%s/l", tmp);
	MUST(symlink(name, link));
	if (!t_mount()) {
		/* The kernel follows this one to the number's placeholder. */
		CHECK_OK(stat(link, &st));
		CHECK_EQ(st.st_ino, st_of(t_at("f")).st_ino);
	}
	CHECK_OK(unlink(link));
	CHECK_OK(rmdir(tmp));
	CHECK_OK(close(fd));
}

static void lchmod_and_link(void)
{
	char name[64];

	t_put(t_at("f"), "x");
	/* glibc does both through /proc where the kernel lacks the call. */
	int rc = lchmod(t_at("f"), 0600);

	CHECK(rc == 0 || errno == EOPNOTSUPP);
	if (rc == 0)
		CHECK_EQ(t_mode(t_at("f")), S_IFREG | 0600);
	rc = fchmodat(AT_FDCWD, t_at("f"), 0640, AT_SYMLINK_NOFOLLOW);
	CHECK(rc == 0 || errno == EOPNOTSUPP);
	MUST(symlink("f", t_at("l")));
	CHECK_ERRNO2(lchmod(t_at("l"), 0600), EOPNOTSUPP, EINVAL);
	int fd = MUST(open(t_at("f"), O_PATH));

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	if (t_mount()) {
		/* No hard links. */
		CHECK_ERRNO(linkat(AT_FDCWD, name, AT_FDCWD, t_at("g"),
				   AT_SYMLINK_FOLLOW),
			    EPERM);
		CHECK(!t_exists(t_at("g")));
	} else {
		CHECK_OK(linkat(AT_FDCWD, name, AT_FDCWD, t_at("g"),
				AT_SYMLINK_FOLLOW));
		CHECK(t_exists(t_at("g")));
	}
	CHECK_ERRNO(
		linkat(AT_FDCWD, name, AT_FDCWD, t_at("f"), AT_SYMLINK_FOLLOW),
		EEXIST);
	/* The name in /proc itself cannot be linked elsewhere. */
	CHECK_ERRNO(linkat(AT_FDCWD, name, AT_FDCWD, t_at("h"), 0), EXDEV);
	CHECK_OK(close(fd));
}

/* Names in /proc cannot be made or removed. */
static void not_allowed(void)
{
	char name[64];

	t_put(t_at("f"), "x");
	int fd = MUST(open(t_at("f"), O_RDWR));

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	CHECK_ERRNO2(unlink(name), EPERM, EACCES);
	CHECK_ERRNO(mkdir(name, 0755), EEXIST);
	CHECK_ERRNO(symlink("x", name), EEXIST);
	CHECK_ERRNO(rename(name, t_at("g")), EXDEV);
	CHECK_ERRNO(rename(t_at("f"), name), EXDEV);
	CHECK_FILE(t_at("f"), "x");
	CHECK_OK(close(fd));
}

/* The list of names: ours are in it, and each says what it is. */
static void listing(void)
{
	char want[16];
	struct dirent *entry;
	struct stat st;
	bool seen = false;

	t_put(t_at("f"), "x");
	int fd = MUST(open(t_at("f"), O_RDONLY));
	DIR *dir = MUST_PTR(opendir("/proc/self/fd"));

	snprintf(want, sizeof(want), "%d", fd);
	while ((entry = readdir(dir))) {
		if (strcmp(entry->d_name, want) == 0) {
			seen = true;
			CHECK_EQ(entry->d_type, DT_LNK);
			CHECK_OK(fstatat(dirfd(dir), want, &st, 0));
			CHECK(S_ISREG(st.st_mode));
		}
	}
	CHECK(seen);
	CHECK_OK(closedir(dir));
	CHECK_OK(close(fd));
}

T_MAIN(CASE(attributes), CASE(opening), CASE(standard_names), CASE(directories),
       CASE(relative), CASE(through_links), CASE(lchmod_and_link),
       CASE(not_allowed), CASE(listing))
