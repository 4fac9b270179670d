/* symlink(at), readlink(at): content kept as given, truncation, refusals. */
#include "t.h"

static void keeps_its_text(void)
{
	static const char *const texts[] = {
		"f",  "./a/../b", "/abs/path", "with space",
		"..", "a//b/",	  "\xc3\xa4"};
	char got[256];

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		char *link = t_at("l%zu", i);

		CHECK_OK(symlink(texts[i], link));
		ssize_t n = readlink(link, got, sizeof(got));

		CHECK_EQ(n, strlen(texts[i]));
		got[n > 0 ? n : 0] = '\0';
		CHECK_STR(got, texts[i]);
	}
}

static void truncates(void)
{
	char got[12];

	MUST(symlink("0123456789", t_at("l")));
	memset(got, '#', sizeof(got));
	CHECK_EQ(readlink(t_at("l"), got, 4), 4);
	CHECK_MEM(got, "0123#", 5);
	CHECK_EQ(readlink(t_at("l"), got, 10), 10);
	CHECK_MEM(got, "0123456789#", 11);
	volatile size_t zero = 0;

	CHECK_ERRNO(readlink(t_at("l"), got, zero), EINVAL);
}

static void at_descriptor(void)
{
	char got[16];
	int dir = MUST(open(t_dir, O_RDONLY | O_DIRECTORY));

	CHECK_OK(symlinkat("text", dir, "l"));
	CHECK_EQ(readlinkat(dir, "l", got, sizeof(got)), 4);
	CHECK_MEM(got, "text", 4);
	CHECK_ERRNO(symlinkat("text", -1, "m"), EBADF);
	CHECK_ERRNO(readlinkat(-1, "l", got, sizeof(got)), EBADF);
	MUST(chdir(t_dir));
	CHECK_OK(symlink("rel", "m"));
	CHECK_EQ(readlink("m", got, sizeof(got)), 3);
	CHECK_EQ(readlinkat(AT_FDCWD, "m", got, sizeof(got)), 3);
	/* An O_PATH descriptor of the link itself. */
	int fd = MUST(openat(dir, "l", O_PATH | O_NOFOLLOW));

	CHECK_EQ(readlinkat(fd, "", got, sizeof(got)), 4);
	CHECK_OK(close(fd));
	CHECK_OK(close(dir));
}

static void errors(void)
{
	char got[16];

	t_put(t_at("f"), "x");
	MUST(mkdir(t_at("d"), 0755));
	MUST(symlink("f", t_at("l")));
	CHECK_ERRNO(symlink("x", t_at("f")), EEXIST);
	CHECK_ERRNO(symlink("x", t_at("l")), EEXIST);
	CHECK_ERRNO(symlink("x", t_at("d")), EEXIST);
	CHECK_ERRNO(symlink("", t_at("m")), ENOENT);
	CHECK_ERRNO(symlink("x", ""), ENOENT);
	CHECK_ERRNO(symlink("x", t_at("none/m")), ENOENT);
	CHECK_ERRNO(symlink("x", t_at("f/m")), ENOTDIR);
	CHECK_ERRNO(readlink(t_at("f"), got, sizeof(got)), EINVAL);
	CHECK_ERRNO(readlink(t_at("d"), got, sizeof(got)), EINVAL);
	CHECK_ERRNO(readlink(t_at("none"), got, sizeof(got)), ENOENT);
	CHECK_ERRNO(readlink(t_at("l"), t_bad_pointer(0), 4), EFAULT);
	for (int i = 0; i < T_BAD_POINTERS; i++) {
		CHECK_ERRNO(symlink(t_bad_pointer(i), t_at("m")), EFAULT);
		CHECK_ERRNO(symlink("x", t_bad_pointer(i)), EFAULT);
	}
	CHECK(!t_exists(t_at("m")));
}

static void long_text(void)
{
	static char text[PATH_MAX + 2], got[PATH_MAX + 2];

	memset(text, 'a', 4000);
	CHECK_OK(symlink(text, t_at("long")));
	CHECK_EQ(readlink(t_at("long"), got, sizeof(got)), 4000);
	CHECK_MEM(got, text, 4000);
	memset(text, 'b', PATH_MAX);
	CHECK_ERRNO(symlink(text, t_at("over")), ENAMETOOLONG);
}

T_MAIN(CASE(keeps_its_text), CASE(truncates), CASE(at_descriptor), CASE(errors),
       CASE(long_text))
