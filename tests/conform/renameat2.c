/* renameat2(2): NOREPLACE, EXCHANGE, bad flags. */
#include "t.h"

static int move(const char *from, const char *to, unsigned int flags)
{
	return renameat2(AT_FDCWD, from, AT_FDCWD, to, flags);
}

static void noreplace(void)
{
	t_put(t_at("a"), "A");
	t_put(t_at("b"), "B");
	MUST(mkdir(t_at("d"), 0755));
	CHECK_ERRNO(move(t_at("a"), t_at("b"), RENAME_NOREPLACE), EEXIST);
	CHECK_ERRNO(move(t_at("a"), t_at("d"), RENAME_NOREPLACE), EEXIST);
	CHECK_ERRNO(move(t_at("a"), t_at("a"), RENAME_NOREPLACE), EEXIST);
	CHECK_FILE(t_at("a"), "A");
	CHECK_FILE(t_at("b"), "B");
	CHECK_OK(move(t_at("a"), t_at("c"), RENAME_NOREPLACE));
	CHECK_FILE(t_at("c"), "A");
	CHECK_ERRNO(move(t_at("none"), t_at("x"), RENAME_NOREPLACE), ENOENT);
}

static void exchange(void)
{
	t_put(t_at("a"), "A");
	t_put(t_at("b"), "B");
	MUST(mkdir(t_at("d"), 0755));
	t_put(t_at("d/f"), "in d");
	CHECK_OK(move(t_at("a"), t_at("b"), RENAME_EXCHANGE));
	CHECK_FILE(t_at("a"), "B");
	CHECK_FILE(t_at("b"), "A");
	/* Different types may change places. */
	CHECK_OK(move(t_at("a"), t_at("d"), RENAME_EXCHANGE));
	CHECK_FILE(t_at("d"), "B");
	CHECK_FILE(t_at("a/f"), "in d");
	CHECK_OK(move(t_at("b"), t_at("b"), RENAME_EXCHANGE));
	CHECK_FILE(t_at("b"), "A");
	CHECK_ERRNO(move(t_at("b"), t_at("none"), RENAME_EXCHANGE), ENOENT);
	CHECK_ERRNO(move(t_at("a"), t_at("a/f"), RENAME_EXCHANGE), EINVAL);
	CHECK_FILE(t_at("b"), "A");
	CHECK_FILE(t_at("a/f"), "in d");
}

static void exchange_of_open_files(void)
{
	char got[4];

	t_put(t_at("a"), "A");
	t_put(t_at("b"), "B");
	int fd = MUST(open(t_at("a"), O_RDWR));

	CHECK_OK(move(t_at("a"), t_at("b"), RENAME_EXCHANGE));
	CHECK_EQ(read(fd, got, 4), 1);
	CHECK_EQ(got[0], 'A');
	CHECK_EQ(pwrite(fd, "x", 1, 0), 1);
	CHECK_FILE(t_at("b"), "x");
	CHECK_FILE(t_at("a"), "B");
	CHECK_OK(close(fd));
}

static void bad_flags(void)
{
	t_put(t_at("a"), "A");
	CHECK_ERRNO(move(t_at("a"), t_at("b"), 0x40000000), EINVAL);
	CHECK_ERRNO(
		move(t_at("a"), t_at("b"), RENAME_NOREPLACE | RENAME_EXCHANGE),
		EINVAL);
	CHECK_OK(move(t_at("a"), t_at("b"), 0));
	CHECK_FILE(t_at("b"), "A");
}

T_MAIN(CASE(noreplace), CASE(exchange), CASE(exchange_of_open_files),
       CASE(bad_flags))
