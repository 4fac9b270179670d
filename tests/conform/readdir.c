/* opendir(3) and readdir(3): what is listed, in which fields, and positions. */
#include <dirent.h>
#include <stddef.h>
#include "t.h"

static int count_of(const char *path)
{
	DIR *dir = MUST_PTR(opendir(path));
	int count = 0;

	while (readdir(dir))
		count++;
	CHECK_OK(closedir(dir));
	return count;
}

static void fields(void)
{
	struct dirent *entry;
	struct stat st;
	int dots = 0, seen = 0;

	t_put(t_at("file"), "x");
	MUST(mkdir(t_at("dir"), 0755));
	MUST(symlink("file", t_at("link")));
	DIR *dir = MUST_PTR(opendir(t_dir));

	errno = 0;
	while ((entry = readdir(dir))) {
		const char *name = entry->d_name;

		MUST(lstat(t_at("%s", name), &st));
		CHECK_EQ(entry->d_type, IFTODT(st.st_mode));
		if (strcmp(name, "..") != 0) /* may be another file system */
			CHECK_EQ(entry->d_ino, st.st_ino);
		CHECK(entry->d_ino != 0);
		CHECK(entry->d_reclen >=
		      offsetof(struct dirent, d_name) + strlen(name) + 1);
		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
			dots++;
		seen++;
	}
	CHECK_EQ(errno, 0);
	CHECK_EQ(dots, 2);
	CHECK_EQ(seen, 5);
	CHECK(readdir(dir) == NULL);
	CHECK_OK(closedir(dir));
}

static void empty(void)
{
	CHECK_EQ(count_of(t_dir), 2);
}

static void errors(void)
{
	t_put(t_at("f"), "x");
	errno = 0;
	CHECK(opendir(t_at("f")) == NULL);
	CHECK_EQ(errno, ENOTDIR);
	errno = 0;
	CHECK(opendir(t_at("none")) == NULL);
	CHECK_EQ(errno, ENOENT);
	errno = 0;
	CHECK(opendir("") == NULL);
	CHECK_EQ(errno, ENOENT);
	errno = 0;
	CHECK(fdopendir(-1) == NULL);
	CHECK_EQ(errno, EBADF);
	int fd = MUST(open(t_at("f"), O_RDONLY));

	errno = 0;
	CHECK(fdopendir(fd) == NULL);
	CHECK_EQ(errno, ENOTDIR);
	CHECK_OK(close(fd));
}

static void from_a_descriptor(void)
{
	struct stat st;

	MUST(mkdir(t_at("d"), 0755));
	t_put(t_at("d/f"), "x");
	int fd = MUST(open(t_at("d"), O_RDONLY | O_DIRECTORY));
	DIR *dir = MUST_PTR(fdopendir(fd));

	CHECK_EQ(dirfd(dir), fd);
	CHECK_OK(fstatat(dirfd(dir), "f", &st, 0));
	int count = 0;

	while (readdir(dir))
		count++;
	CHECK_EQ(count, 3);
	CHECK_OK(closedir(dir));
	CHECK_ERRNO(close(fd), EBADF);
	dir = MUST_PTR(opendir(t_at("d")));
	CHECK_EQ(fcntl(dirfd(dir), F_GETFD), FD_CLOEXEC);
	CHECK_OK(closedir(dir));
}

static void positions(void)
{
	enum { COUNT = 100 };
	char names[COUNT + 2][32];
	long at[COUNT + 2];
	struct dirent *entry;
	int n = 0;

	for (int i = 0; i < COUNT; i++)
		t_put(t_at("file%03d", i), "");
	DIR *dir = MUST_PTR(opendir(t_dir));

	for (;;) {
		long where = telldir(dir);

		entry = readdir(dir);
		if (!entry)
			break;
		CHECK(n < COUNT + 2);
		if (n == COUNT + 2)
			break;
		at[n] = where;
		snprintf(names[n], sizeof(names[n]), "%.31s", entry->d_name);
		n++;
	}
	CHECK_EQ(n, COUNT + 2);
	for (int i = n - 1; i >= 0; i -= 7) {
		seekdir(dir, at[i]);
		entry = readdir(dir);
		CHECK_STR(entry ? entry->d_name : NULL, names[i]);
		CHECK_EQ(telldir(dir), i + 1 < n ? at[i + 1] : telldir(dir));
	}
	rewinddir(dir);
	for (int i = 0; i < n; i++) {
		entry = readdir(dir);
		CHECK_STR(entry ? entry->d_name : NULL, names[i]);
	}
	CHECK_OK(closedir(dir));
}

static void rewind_sees_new_names(void)
{
	DIR *dir = MUST_PTR(opendir(t_dir));
	int count = 0;

	while (readdir(dir))
		count++;
	CHECK_EQ(count, 2);
	t_put(t_at("new"), "");
	rewinddir(dir);
	count = 0;
	while (readdir(dir))
		count++;
	CHECK_EQ(count, 3);
	CHECK_OK(closedir(dir));
}

static void removing_while_reading(void)
{
	enum { COUNT = 3000 };
	struct dirent *entry;
	int removed = 0;

	MUST(mkdir(t_at("d"), 0755));
	for (int i = 0; i < COUNT; i++)
		MUST(mknod(t_at("d/a-longer-name-%04d", i), S_IFREG | 0644, 0));
	DIR *dir = MUST_PTR(opendir(t_at("d")));

	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		CHECK_OK(unlinkat(dirfd(dir), entry->d_name, 0));
		removed++;
	}
	CHECK_OK(closedir(dir));
	CHECK_EQ(removed, COUNT);
	CHECK_OK(rmdir(t_at("d")));
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void five_thousand(void)
{
	enum { COUNT = 5000 };
	static char *names[COUNT];
	struct dirent *entry;
	int n = 0;

	for (int i = 0; i < COUNT; i++)
		MUST(mknod(t_at("n%05d", i), S_IFREG | 0644, 0));
	DIR *dir = MUST_PTR(opendir(t_dir));

	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		if (n < COUNT)
			names[n] = strdup(entry->d_name);
		n++;
	}
	CHECK_OK(closedir(dir));
	CHECK_EQ(n, COUNT);
	if (n != COUNT)
		return;
	qsort(names, COUNT, sizeof(names[0]), by_name);
	for (int i = 0; i < COUNT; i++) {
		char want[16];

		snprintf(want, sizeof(want), "n%05d", i);
		CHECK_STR(names[i], want);
		free(names[i]);
	}
}

static void two_streams(void)
{
	t_put(t_at("a"), "");
	t_put(t_at("b"), "");
	DIR *one = MUST_PTR(opendir(t_dir)), *two = MUST_PTR(opendir(t_dir));
	int n = 0;

	for (int i = 0; i < 4; i++) {
		if (readdir(one))
			n++;
		if (i % 2 && readdir(two))
			n++;
	}
	CHECK_EQ(n, 6);
	CHECK_OK(closedir(one));
	CHECK(readdir(two) != NULL);
	CHECK_OK(closedir(two));
}

static void removed_directory(void)
{
	MUST(mkdir(t_at("d"), 0755));
	DIR *dir = MUST_PTR(opendir(t_at("d")));

	MUST(rmdir(t_at("d")));
	errno = 0;
	/* Linux lists nothing, not even the dots. */
	CHECK(readdir(dir) == NULL);
	CHECK_OK(closedir(dir));
}

static void through_the_cwd(void)
{
	t_put(t_at("f"), "");
	MUST(chdir(t_dir));
	CHECK_EQ(count_of("."), 3);
	CHECK_EQ(count_of("../through_the_cwd"), 3);
}

T_MAIN(CASE(fields), CASE(empty), CASE(errors), CASE(from_a_descriptor),
       CASE(positions), CASE(rewind_sees_new_names),
       CASE(removing_while_reading), CASE(five_thousand), CASE(two_streams),
       CASE(removed_directory), CASE(through_the_cwd))
