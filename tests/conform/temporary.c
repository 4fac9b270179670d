/* mkstemp and its family, mkdtemp, O_TMPFILE (which may be refused). */
#include "t.h"

static void mkstemp_family(void)
{
	char name[PATH_MAX], other[PATH_MAX];

	t_into(name, "t.XXXXXX");
	t_into(other, "t.XXXXXX");
	int a = MUST(mkstemp(name)), b = MUST(mkstemp(other));

	CHECK(strcmp(name, other) != 0);
	CHECK_EQ(t_mode(name), S_IFREG | 0600);
	CHECK_EQ(fcntl(a, F_GETFL) & O_ACCMODE, O_RDWR);
	CHECK_EQ(write(a, "x", 1), 1);
	CHECK_OK(close(a));
	CHECK_OK(close(b));
	t_into(name, "sXXXXXX.suffix");
	a = MUST(mkstemps(name, 7));
	CHECK_STR(strrchr(name, '.'), ".suffix");
	CHECK_OK(close(a));
	t_into(name, "oXXXXXX");
	a = MUST(mkostemp(name, O_CLOEXEC | O_APPEND));
	CHECK_EQ(fcntl(a, F_GETFD), FD_CLOEXEC);
	CHECK(fcntl(a, F_GETFL) & O_APPEND);
	CHECK_OK(close(a));
	t_into(name, "bad");
	CHECK_ERRNO(mkstemp(name), EINVAL);
	t_into(name, "none/XXXXXX");
	CHECK_ERRNO(mkstemp(name), ENOENT);
}

static void directory(void)
{
	char name[PATH_MAX];

	t_into(name, "d.XXXXXX");
	CHECK(mkdtemp(name) == name);
	CHECK_EQ(t_mode(name), S_IFDIR | 0700);
	CHECK_OK(rmdir(name));
}

static void tmpfile_works(void)
{
	FILE *f = MUST_PTR(tmpfile());
	char got[8] = "";

	CHECK(fputs("temp", f) >= 0);
	rewind(f);
	CHECK_STR(fgets(got, sizeof(got), f), "temp");
	CHECK_EQ(fclose(f), 0);
}

static void unnamed(void)
{
	char got[8];
	int fd = open(t_dir, O_TMPFILE | O_RDWR, 0600);

	if (fd < 0) {
		/* A file system without O_TMPFILE says EOPNOTSUPP. */
		CHECK(t_mount());
		CHECK_EQ(errno, EOPNOTSUPP);
		return;
	}
	struct stat st;

	CHECK_EQ(write(fd, "hidden", 6), 6);
	CHECK_EQ(pread(fd, got, 8, 0), 6);
	CHECK_OK(fstat(fd, &st));
	CHECK_EQ(st.st_mode, S_IFREG | 0600);
	CHECK_EQ(st.st_nlink, 0);
	CHECK_OK(close(fd));
	CHECK_OK(rmdir(t_dir));
	MUST(mkdir(t_dir, 0755));
}

T_MAIN(CASE(mkstemp_family), CASE(directory), CASE(tmpfile_works),
       CASE(unnamed))
