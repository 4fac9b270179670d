/* Renaming, and renaming over, what is open: descriptors follow the file. */
#include "t.h"

static void source_is_open(void)
{
	struct stat st, by_fd;
	char got[8];
	int fd = MUST(open(t_at("a"), O_RDWR | O_CREAT, 0644));

	CHECK_EQ(write(fd, "data", 4), 4);
	MUST(stat(t_at("a"), &st));
	MUST(mkdir(t_at("d"), 0755));
	CHECK_OK(rename(t_at("a"), t_at("d/b")));
	CHECK_OK(fstat(fd, &by_fd));
	CHECK_EQ(by_fd.st_ino, st.st_ino);
	CHECK_EQ(by_fd.st_size, 4);
	CHECK_EQ(by_fd.st_nlink, 1);
	CHECK_EQ(write(fd, "more", 4), 4);
	CHECK_FILE(t_at("d/b"), "datamore");
	CHECK_OK(fchmod(fd, 0600));
	CHECK_EQ(t_mode(t_at("d/b")), S_IFREG | 0600);
	CHECK_OK(ftruncate(fd, 2));
	CHECK_FILE(t_at("d/b"), "da");
	CHECK_EQ(pread(fd, got, 8, 0), 2);
	/* The old name may be taken by another. */
	t_put(t_at("a"), "other");
	CHECK_OK(fstat(fd, &by_fd));
	CHECK_EQ(by_fd.st_ino, st.st_ino);
	CHECK_OK(close(fd));
}

static void target_is_open(void)
{
	struct stat st;
	char got[16];

	t_put(t_at("old"), "old bytes");
	t_put(t_at("new"), "new");
	int fd = MUST(open(t_at("old"), O_RDWR));

	MUST(fstat(fd, &st));
	ino_t ino = st.st_ino;

	CHECK_OK(rename(t_at("new"), t_at("old")));
	CHECK_FILE(t_at("old"), "new");
	CHECK_EQ(read(fd, got, 16), 9);
	CHECK_MEM(got, "old bytes", 9);
	CHECK_OK(fstat(fd, &st));
	CHECK_EQ(st.st_ino, ino);
	CHECK_EQ(st.st_nlink, 0);
	CHECK_EQ(pwrite(fd, "OLD", 3, 0), 3);
	CHECK_FILE(t_at("old"), "new");
	CHECK_OK(close(fd));
	CHECK_FILE(t_at("old"), "new");
}

static void both_are_open(void)
{
	char got[8];

	t_put(t_at("a"), "aaaa");
	t_put(t_at("b"), "bbbb");
	int a = MUST(open(t_at("a"), O_RDWR));
	int b = MUST(open(t_at("b"), O_RDWR));

	CHECK_OK(rename(t_at("a"), t_at("b")));
	CHECK_EQ(pwrite(a, "A", 1, 0), 1);
	CHECK_EQ(pwrite(b, "B", 1, 0), 1);
	CHECK_FILE(t_at("b"), "Aaaa");
	CHECK_EQ(read(b, got, 8), 4);
	CHECK_MEM(got, "Bbbb", 4);
	CHECK_OK(close(a));
	CHECK_OK(close(b));
}

static void editors_way(void)
{
	/* Write a temporary file, rename it over: ten times, one reader. */
	char text[16], got[16];

	t_put(t_at("f"), "v0");
	for (int i = 1; i <= 10; i++) {
		int reader = MUST(open(t_at("f"), O_RDONLY));

		snprintf(text, sizeof(text), "v%d", i);
		t_put(t_at("f.tmp"), text);
		CHECK_OK(rename(t_at("f.tmp"), t_at("f")));
		CHECK_FILE(t_at("f"), text);
		memset(got, 0, sizeof(got));
		CHECK(read(reader, got, sizeof(got) - 1) >= 2);
		snprintf(text, sizeof(text), "v%d", i - 1);
		CHECK_STR(got, text);
		CHECK_OK(close(reader));
	}
}

static void directory_on_the_way(void)
{
	MUST(mkdir(t_at("d"), 0755));
	int fd = MUST(open(t_at("d/f"), O_RDWR | O_CREAT, 0644));
	struct stat st;

	MUST(chdir(t_at("d")));
	CHECK_OK(rename(t_at("d"), t_at("e")));
	CHECK_EQ(write(fd, "moved", 5), 5);
	CHECK_FILE(t_at("e/f"), "moved");
	CHECK_FILE("f", "moved");
	CHECK_OK(fstat(fd, &st));
	CHECK_ERRNO(stat(t_at("d/f"), &st), ENOENT);
	char buf[PATH_MAX];

	CHECK_STR(getcwd(buf, sizeof(buf)), t_at("e"));
	CHECK_OK(close(fd));
}

static void child_moves(void *arg)
{
	(void)arg;
	MUST(rename(t_at("f"), t_at("d/f")));
	MUST(rename(t_at("d"), t_at("e")));
	MUST(rename(t_at("e/f"), t_at("e/g")));
	MUST(rename(t_at("e"), t_at("in/e")));
}

/* Another process moves a file, and the directories above it. */
static void moved_and_moved_again(void)
{
	struct stat st;

	MUST(mkdir(t_at("d"), 0755));
	MUST(mkdir(t_at("in"), 0755));
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	CHECK_CHILD(child_moves, NULL);
	CHECK_OK(fstat(fd, &st));
	CHECK_EQ(st.st_nlink, 1);
	CHECK_OK(fchmod(fd, 0600));
	CHECK_EQ(write(fd, "moved", 5), 5);
	CHECK_FILE(t_at("in/e/g"), "moved");
	CHECK_EQ(t_mode(t_at("in/e/g")) & 0777, 0600);
	CHECK_OK(close(fd));
}

static void child_exchanges(void *arg)
{
	(void)arg;
	MUST(renameat2(AT_FDCWD, t_at("f"), AT_FDCWD, t_at("g"),
		       RENAME_EXCHANGE));
}

static void child_moves_much(void *arg)
{
	(void)arg;
	MUST(rename(t_at("f"), t_at("g")));
	MUST(mkdir(t_at("d"), 0755));
	t_put(t_at("d/a"), "closed");
	for (int i = 0; i < 300; i++)
		MUST(rename(t_at(i % 2 ? "d/b" : "d/a"),
			    t_at(i % 2 ? "d/a" : "d/b")));
}

/* What is open is found again also after many files that are not moved. */
static void moved_long_ago(void)
{
	struct stat st;
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	CHECK_CHILD(child_moves_much, NULL);
	CHECK_OK(fstat(fd, &st));
	CHECK_EQ(st.st_nlink, 1);
	CHECK_OK(fchmod(fd, 0600));
	CHECK_EQ(t_mode(t_at("g")) & 0777, 0600);
	CHECK_OK(close(fd));
}

static void exchanged_by_another(void)
{
	struct stat st;

	int f = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));
	int g = MUST(open(t_at("g"), O_RDWR | O_CREAT, 0644));

	CHECK_EQ(write(f, "12", 2), 2);
	CHECK_CHILD(child_exchanges, NULL);
	CHECK_OK(fstat(f, &st));
	CHECK_EQ(st.st_size, 2);
	CHECK_OK(fstat(g, &st));
	CHECK_EQ(st.st_size, 0);
	CHECK_OK(fchmod(f, 0600));
	CHECK_EQ(t_mode(t_at("g")) & 0777, 0600);
	CHECK_FILE(t_at("g"), "12");
	CHECK_OK(close(f));
	CHECK_OK(close(g));
}

T_MAIN(CASE(source_is_open), CASE(target_is_open), CASE(both_are_open),
       CASE(editors_way), CASE(directory_on_the_way),
       CASE(moved_and_moved_again), CASE(moved_long_ago),
       CASE(exchanged_by_another))
