/*
 * Directories that move while something below them is open, or is the
 * working directory: what is reached by descriptor, by "..", by path.
 */
#include <dirent.h>
#include "t.h"

static int move(const char *from, const char *to, unsigned int flags)
{
	return renameat2(AT_FDCWD, from, AT_FDCWD, to, flags);
}

static bool same(const char *path, const struct stat *want)
{
	struct stat st;

	return stat(path, &st) == 0 && st.st_ino == want->st_ino &&
	       st.st_dev == want->st_dev;
}

static char *link_of(int fd)
{
	static char got[PATH_MAX];
	char name[64];

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	memset(got, 0, sizeof(got));
	MUST(readlink(name, got, sizeof(got) - 1));
	return got;
}

static void make_tree(const char *top)
{
	MUST(mkdir(t_at("%s", top), 0755));
	MUST(mkdir(t_at("%s/a", top), 0755));
	MUST(mkdir(t_at("%s/a/b", top), 0755));
	t_put(t_at("%s/a/b/f", top), top);
	t_put(t_at("%s/g", top), top);
	MUST(symlink("b/f", t_at("%s/a/l", top)));
}

static void with_open_children(void)
{
	struct stat dir, file;

	make_tree("one");
	MUST(mkdir(t_at("two"), 0755));
	int b = MUST(open(t_at("one/a/b"), O_RDONLY | O_DIRECTORY));
	int f = MUST(open(t_at("one/a/b/f"), O_RDWR));

	MUST(fstat(b, &dir));
	MUST(fstat(f, &file));
	CHECK_OK(rename(t_at("one"), t_at("two/three")));
	CHECK(same(t_at("two/three/a/b"), &dir));
	CHECK(same(t_at("two/three/a/b/f"), &file));
	CHECK(!t_exists(t_at("one")));
	CHECK_ERRNO(open(t_at("one/a/b/f"), O_RDONLY), ENOENT);
	CHECK_STR(link_of(f), t_at("two/three/a/b/f"));
	CHECK_STR(link_of(b), t_at("two/three/a/b"));
	CHECK_OK(faccessat(b, "f", R_OK, 0));
	CHECK_OK(faccessat(b, "../../../three/g", R_OK, 0));
	CHECK_OK(faccessat(b, "../../../../two", R_OK, 0));
	CHECK_EQ(pwrite(f, "ONE", 3, 0), 3);
	CHECK_FILE(t_at("two/three/a/l"), "ONE");
	CHECK_OK(fchmod(f, 0600));
	CHECK_EQ(t_mode(t_at("two/three/a/b/f")), S_IFREG | 0600);
	CHECK_OK(ftruncate(f, 1));
	CHECK_EQ(t_size(t_at("two/three/a/b/f")), 1);
	/* A new tree under the old name is another one. */
	make_tree("one");
	CHECK(!same(t_at("one/a/b"), &dir));
	CHECK_OK(mkdirat(b, "new", 0755));
	CHECK(!t_exists(t_at("one/a/b/new")));
	CHECK(t_exists(t_at("two/three/a/b/new")));
	CHECK_FILE(t_at("one/a/b/f"), "one");
	CHECK_FILE(t_at("two/three/a/b/f"), "O");
	CHECK_OK(close(b));
	CHECK_OK(close(f));
}

static void with_the_cwd_below(void)
{
	char got[PATH_MAX];

	make_tree("one");
	MUST(mkdir(t_at("two"), 0755));
	MUST(chdir(t_at("one/a/b")));
	CHECK_OK(rename(t_at("one"), t_at("two/three")));
	CHECK_STR(getcwd(got, sizeof(got)), t_at("two/three/a/b"));
	CHECK_FILE("f", "one");
	CHECK_FILE("../l", "one");
	t_put("new", "here");
	CHECK_FILE(t_at("two/three/a/b/new"), "here");
	/* From below, by relative names. */
	CHECK_OK(rename("../../../three", "../../../four"));
	CHECK_STR(getcwd(got, sizeof(got)), t_at("two/four/a/b"));
	CHECK_OK(rename("f", "../../h"));
	CHECK_FILE(t_at("two/four/h"), "one");
	CHECK_OK(chdir(".."));
	CHECK_STR(getcwd(got, sizeof(got)), t_at("two/four/a"));
	CHECK_ERRNO(rename("../../four", "sub"), EINVAL);
	CHECK_ERRNO(rename(".", t_at("x")), EBUSY);
	CHECK_ERRNO(rename("..", t_at("x")), EBUSY);
}

static void into_itself(void)
{
	make_tree("one");
	MUST(symlink("one/a", t_at("short")));
	CHECK_ERRNO(rename(t_at("one"), t_at("one/x")), EINVAL);
	CHECK_ERRNO(rename(t_at("one"), t_at("one/a/b/x")), EINVAL);
	CHECK_ERRNO(rename(t_at("one"), t_at("short/b/x")), EINVAL);
	CHECK_ERRNO(rename(t_at("one"), t_at("one/a/b/../x")), EINVAL);
	CHECK_ERRNO(rename(t_at("one/a"), t_at("one")), ENOTEMPTY);
	CHECK_ERRNO(rename(t_at("one/a/b"), t_at("one")), ENOTEMPTY);
	CHECK_ERRNO(move(t_at("one"), t_at("one/a"), RENAME_EXCHANGE), EINVAL);
	CHECK_ERRNO(move(t_at("one/a/b"), t_at("one"), RENAME_EXCHANGE),
		    EINVAL);
	CHECK_ERRNO(move(t_at("one"), t_at("one/x"), RENAME_NOREPLACE), EINVAL);
	CHECK_OK(rename(t_at("one"), t_at("one/../one")));
	/* After a move what was above is not any more. */
	CHECK_OK(rename(t_at("one/a"), t_at("alone")));
	CHECK_OK(rename(t_at("one"), t_at("alone/b/one")));
	CHECK_FILE(t_at("alone/b/one/g"), "one");
	CHECK_ERRNO(rename(t_at("alone"), t_at("alone/b/one/x")), EINVAL);
	CHECK_OK(rename(t_at("alone/b/one"), t_at("one")));
	CHECK_OK(rename(t_at("alone"), t_at("one/a")));
	CHECK_FILE(t_at("one/a/b/f"), "one");
}

static void exchanged_directories(void)
{
	struct stat one, two;
	char got[PATH_MAX];

	make_tree("one");
	make_tree("two");
	MUST(stat(t_at("one"), &one));
	MUST(stat(t_at("two"), &two));
	int fd = MUST(open(t_at("one/a/b/f"), O_RDWR));

	MUST(chdir(t_at("two/a")));
	CHECK_OK(move(t_at("one"), t_at("two"), RENAME_EXCHANGE));
	CHECK(same(t_at("two"), &one));
	CHECK(same(t_at("one"), &two));
	CHECK_FILE(t_at("one/a/b/f"), "two");
	CHECK_FILE(t_at("two/a/b/f"), "one");
	CHECK_STR(link_of(fd), t_at("two/a/b/f"));
	CHECK_STR(getcwd(got, sizeof(got)), t_at("one/a"));
	CHECK_FILE("b/f", "two");
	/* With one that is deeper, of another type, and back. */
	CHECK_OK(move(t_at("one/a/b"), t_at("two/g"), RENAME_EXCHANGE));
	CHECK_FILE(t_at("one/a/b"), "one");
	CHECK_FILE(t_at("two/g/f"), "two");
	CHECK_ERRNO(open("b/f", O_RDONLY), ENOTDIR);
	CHECK_OK(move(t_at("one/a/b"), t_at("two/g"), RENAME_EXCHANGE));
	CHECK_FILE("b/f", "two");
	CHECK_EQ(pwrite(fd, "ONE", 3, 0), 3);
	CHECK_FILE(t_at("two/a/b/f"), "ONE");
	CHECK_OK(close(fd));
}

/* An empty directory is replaced while it is open and the working directory. */
static void over_an_empty_one(void)
{
	struct stat st;
	char got[PATH_MAX];

	make_tree("one");
	MUST(mkdir(t_at("empty"), 0755));
	int fd = MUST(open(t_at("empty"), O_RDONLY | O_DIRECTORY));

	MUST(chdir(t_at("empty")));
	CHECK_OK(rename(t_at("one"), t_at("empty")));
	CHECK_FILE(t_at("empty/a/b/f"), "one");
	CHECK_ERRNO(openat(fd, "new", O_WRONLY | O_CREAT, 0644), ENOENT);
	CHECK_ERRNO(faccessat(fd, "g", R_OK, 0), ENOENT);
	CHECK_OK(fstat(fd, &st));
	CHECK(st.st_nlink < 2);
	errno = 0;
	CHECK(getcwd(got, sizeof(got)) == NULL);
	CHECK_EQ(errno, ENOENT);
	CHECK_ERRNO(mkdir("new", 0755), ENOENT);
	CHECK_OK(close(fd));
	MUST(chdir("/"));
	MUST(mkdir(t_at("other"), 0755));
	MUST(mkdir(t_at("full"), 0755));
	t_put(t_at("full/x"), "");
	CHECK_ERRNO2(rename(t_at("other"), t_at("full")), ENOTEMPTY, EEXIST);
	CHECK_ERRNO(rename(t_at("full/x"), t_at("other")), EISDIR);
	CHECK_ERRNO(rename(t_at("other"), t_at("full/x")), ENOTDIR);
}

/* A stream goes on over a move of its directory. */
static void while_reading(void)
{
	enum { COUNT = 500 };
	static bool seen[COUNT];
	struct dirent *entry;
	int n = 0;

	MUST(mkdir(t_at("d"), 0755));
	for (int i = 0; i < COUNT; i++)
		MUST(mknod(t_at("d/%d", i), S_IFREG | 0644, 0));
	DIR *dir = MUST_PTR(opendir(t_at("d")));

	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		seen[atoi(entry->d_name)] = true;
		if (++n == 100)
			CHECK_OK(rename(t_at("d"), t_at("e")));
	}
	CHECK_EQ(n, COUNT);
	for (int i = 0; i < COUNT; i++)
		CHECK(seen[i]);
	CHECK_OK(closedir(dir));
}

/* Old names are forgotten, also those of links and of what lies below. */
static void names_forgotten(void)
{
	struct stat st;

	for (int round = 0; round < 5; round++) {
		make_tree("d");
		CHECK_OK(stat(t_at("d/a/b/f"), &st));
		CHECK_OK(rename(t_at("d/a"), t_at("d/c")));
		CHECK_ERRNO(stat(t_at("d/a/b/f"), &st), ENOENT);
		CHECK_OK(stat(t_at("d/c/b/f"), &st));
		CHECK_OK(rename(t_at("d"), t_at("gone%d", round)));
		CHECK_ERRNO(stat(t_at("d/c/b/f"), &st), ENOENT);
		CHECK_ERRNO(mkdir(t_at("d/c/new"), 0755), ENOENT);
		CHECK_OK(stat(t_at("gone%d/c/b/f", round), &st));
	}
}

/* What a file was keeps over a move: times, mode, attributes. */
static void keeps_what_it_was(void)
{
	struct timespec ts[2] = {{11, 12}, {13, 14}};
	struct stat before, after;

	make_tree("one");
	MUST(chmod(t_at("one/g"), 0640));
	MUST(utimensat(AT_FDCWD, t_at("one/g"), ts, 0));
	MUST(utimensat(AT_FDCWD, t_at("one/a"), ts, 0));
	MUST(utimensat(AT_FDCWD, t_at("one/a/l"), ts, AT_SYMLINK_NOFOLLOW));
	MUST(stat(t_at("one/g"), &before));
	CHECK_OK(rename(t_at("one/g"), t_at("g")));
	MUST(stat(t_at("g"), &after));
	CHECK_EQ(after.st_ino, before.st_ino);
	CHECK_EQ(after.st_mode, before.st_mode);
	CHECK_EQ(after.st_size, before.st_size);
	CHECK_EQ(after.st_mtim.tv_sec, 13);
	CHECK_EQ(after.st_mtim.tv_nsec, 14);
	CHECK_OK(rename(t_at("one/a/l"), t_at("l")));
	MUST(lstat(t_at("l"), &after));
	CHECK_EQ(after.st_mtim.tv_sec, 13);
	CHECK_EQ(after.st_mode, S_IFLNK | 0777);
	/* A directory's own time is that of its last change of names. */
	MUST(utimensat(AT_FDCWD, t_at("one/a"), ts, 0));
	CHECK_OK(rename(t_at("one/a"), t_at("a")));
	MUST(stat(t_at("a"), &after));
	CHECK_EQ(after.st_mtim.tv_sec, 13);
	MUST(utimensat(AT_FDCWD, t_at("g"), ts, 0));
	CHECK_OK(move(t_at("g"), t_at("a/b/f"), RENAME_EXCHANGE));
	MUST(stat(t_at("a/b/f"), &after));
	CHECK_EQ(after.st_mtim.tv_sec, 13);
}

T_MAIN(CASE(with_open_children), CASE(with_the_cwd_below), CASE(into_itself),
       CASE(exchanged_directories), CASE(over_an_empty_one),
       CASE(while_reading), CASE(names_forgotten), CASE(keeps_what_it_was))
