/* Lengths and bytes of names and paths. */
#include "t.h"

static void longest_name(void)
{
	char name[300];
	struct stat st;

	memset(name, 'n', sizeof(name));
	name[255] = '\0';
	t_put(t_at("%s", name), "longest");
	CHECK_FILE(t_at("%s", name), "longest");
	CHECK_OK(stat(t_at("%s", name), &st));
	CHECK_OK(rename(t_at("%s", name), t_at("short")));
	CHECK_OK(rename(t_at("short"), t_at("%s", name)));
	CHECK_OK(unlink(t_at("%s", name)));
	CHECK_OK(mkdir(t_at("%s", name), 0755));
	CHECK_OK(mkdir(t_at("%s/%s", name, name), 0755));
	name[255] = 'n';
	name[256] = '\0';
	CHECK_ERRNO(open(t_at("%s", name), O_RDWR | O_CREAT, 0644),
		    ENAMETOOLONG);
	CHECK_ERRNO(stat(t_at("%s", name), &st), ENAMETOOLONG);
	CHECK_ERRNO(mkdir(t_at("%s", name), 0755), ENAMETOOLONG);
	CHECK_ERRNO(unlink(t_at("%s", name)), ENAMETOOLONG);
	CHECK_ERRNO(rmdir(t_at("%s", name)), ENAMETOOLONG);
	CHECK_ERRNO(symlink("x", t_at("%s", name)), ENAMETOOLONG);
	CHECK_ERRNO(readlink(t_at("%s", name), name, 10), ENAMETOOLONG);
	t_put(t_at("f"), "x");
	CHECK_ERRNO(rename(t_at("f"), t_at("%s", name)), ENAMETOOLONG);
	CHECK_ERRNO(access(t_at("%s/x", name), F_OK), ENAMETOOLONG);
	CHECK_ERRNO(chmod(t_at("%s", name), 0644), ENAMETOOLONG);
}

static void long_paths(void)
{
	static char path[10001];
	struct stat st;

	memset(path, '/', sizeof(path));
	memcpy(path, t_dir, strlen(t_dir));
	/* Slashes count: PATH_MAX is about the string. */
	path[PATH_MAX - 1] = '\0';
	CHECK_OK(stat(path, &st));
	path[PATH_MAX - 1] = '/';
	path[PATH_MAX] = '\0';
	CHECK_ERRNO(stat(path, &st), ENAMETOOLONG);
	path[PATH_MAX] = '/';
	path[10000] = '\0';
	CHECK_ERRNO(stat(path, &st), ENAMETOOLONG);
	CHECK_ERRNO(open(path, O_RDONLY), ENAMETOOLONG);
	CHECK_ERRNO(mkdir(path, 0755), ENAMETOOLONG);
	CHECK_ERRNO(chdir(path), ENAMETOOLONG);
	CHECK_ERRNO(rename(path, t_at("x")), ENAMETOOLONG);
	/* Elsewhere as well. */
	memset(path, '/', sizeof(path) - 1);
	CHECK_ERRNO(stat(path, &st), ENAMETOOLONG);
	memset(path, 'a', sizeof(path) - 1);
	CHECK_ERRNO(stat(path, &st), ENAMETOOLONG);
	memset(path + 1, 'a', 5999);
	path[0] = '/';
	path[6000] = '\0';
	CHECK_ERRNO(stat(path, &st), ENAMETOOLONG);
	CHECK_ERRNO(open(path, O_RDONLY), ENAMETOOLONG);
}

/* Deeper than PATH_MAX, step by step. */
static void deeper_than_a_path(void)
{
	char name[201], buf[64];
	int level;

	memset(name, 'd', 200);
	name[200] = '\0';
	MUST(chdir(t_dir));
	for (level = 0; level < 30; level++) {
		CHECK_OK(mkdir(name, 0755));
		CHECK_OK(chdir(name));
	}
	int fd = MUST(open("f", O_RDWR | O_CREAT, 0644));

	CHECK_EQ(write(fd, "deep", 4), 4);
	CHECK_OK(close(fd));
	CHECK_FILE("f", "deep");
	CHECK_FILE("./f", "deep");
	CHECK(getcwd(buf, sizeof(buf)) == NULL);
	CHECK_OK(unlink("f"));
	for (level = 0; level < 30; level++) {
		CHECK_OK(chdir(".."));
		CHECK_OK(rmdir(name));
	}
	char cwd[PATH_MAX];

	CHECK_STR(getcwd(cwd, sizeof(cwd)), t_dir);
}

static void any_byte(void)
{
	static const char *const names[] = {
		" ",	  "  lead",   "trail ",	  "a b",	 "\n",
		"\t\x01", "\xff\xfe", "\xc3\xa4", "*?[a]",	 "'\"`$",
		"...",	  "..a",      ".hidden",  "-rf",	 "a\\b",
		"CON",	  "a:b",      "%s%n",	  "\xe2\x82\xac"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		t_put(t_at("%s", names[i]), names[i]);
		CHECK_FILE(t_at("%s", names[i]), names[i]);
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		CHECK_OK(unlink(t_at("%s", names[i])));
	/* Upper and lower case are two names. */
	t_put(t_at("Case"), "1");
	t_put(t_at("case"), "2");
	CHECK_FILE(t_at("Case"), "1");
}

static void dots_and_slashes(void)
{
	struct stat st, want;

	MUST(mkdir(t_at("d"), 0755));
	t_put(t_at("d/f"), "x");
	MUST(stat(t_at("d/f"), &want));
	static const char *const same[] = {
		"d//f", "d/./f",   "./d/f",	  "d/../d/f",
		"d/f",	"//d///f", "././d/././f", "d/.././d/../d/f"};

	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		CHECK_OK(stat(t_at("%s", same[i]), &st));
		CHECK_EQ(st.st_ino, want.st_ino);
	}
	/* Every step must exist, even one that ".." takes back. */
	CHECK_ERRNO(stat(t_at("none/../d/f"), &st), ENOENT);
	CHECK_ERRNO(stat(t_at("d/f/../f"), &st), ENOTDIR);
	CHECK_ERRNO(stat(t_at("d/f/."), &st), ENOTDIR);
	CHECK_ERRNO(unlink(t_at("d/.")), EISDIR);
	CHECK_ERRNO2(open(t_at("."), O_WRONLY | O_CREAT, 0644), EISDIR, EEXIST);
}

T_MAIN(CASE(longest_name), CASE(long_paths), CASE(deeper_than_a_path),
       CASE(any_byte), CASE(dots_and_slashes))
