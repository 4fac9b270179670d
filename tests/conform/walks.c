/* What libc builds on directories: scandir, nftw, fts, glob, realpath. */
#include <dirent.h>
#include <fts.h>
#include <ftw.h>
#include <glob.h>
#include "t.h"

static int visited, dirs_after;

static void tree(void)
{
	MUST(mkdir(t_at("a"), 0755));
	MUST(mkdir(t_at("a/b"), 0755));
	MUST(mkdir(t_at("a/b/c"), 0755));
	t_put(t_at("a/f1"), "1");
	t_put(t_at("a/b/f2"), "22");
	t_put(t_at("a/b/c/f3"), "333");
	MUST(symlink("b", t_at("a/l")));
}

static int only_f(const struct dirent *entry)
{
	return entry->d_name[0] == 'f' || entry->d_name[0] == 'l';
}

static void scan(void)
{
	struct dirent **list;

	tree();
	int n = scandir(t_at("a"), &list, only_f, alphasort);

	CHECK_EQ(n, 2);
	if (n == 2) {
		CHECK_STR(list[0]->d_name, "f1");
		CHECK_STR(list[1]->d_name, "l");
		free(list[0]);
		free(list[1]);
		free(list);
	}
	int dir = MUST(open(t_dir, O_RDONLY | O_DIRECTORY));

	n = scandirat(dir, "a/b", &list, only_f, versionsort);
	CHECK_EQ(n, 1);
	if (n == 1) {
		CHECK_STR(list[0]->d_name, "f2");
		free(list[0]);
		free(list);
	}
	CHECK_ERRNO(scandirat(dir, "none", &list, NULL, NULL), ENOENT);
	CHECK_OK(close(dir));
}

static int visit(const char *path, const struct stat *st, int flag,
		 struct FTW *where)
{
	(void)path;
	(void)where;
	visited++;
	if (flag == FTW_DP)
		dirs_after++;
	if (flag == FTW_F)
		CHECK(S_ISREG(st->st_mode));
	return 0;
}

static int drop(const char *path, const struct stat *st, int flag,
		struct FTW *where)
{
	(void)st;
	(void)flag;
	(void)where;
	return remove(path);
}

static void walk(void)
{
	tree();
	visited = dirs_after = 0;
	CHECK_EQ(nftw(t_at("a"), visit, 3, FTW_PHYS | FTW_DEPTH), 0);
	CHECK_EQ(visited, 7);
	CHECK_EQ(dirs_after, 3);
	visited = 0;
	CHECK_EQ(nftw(t_at("a"), visit, 1, FTW_CHDIR | FTW_PHYS), 0);
	CHECK_EQ(visited, 7);
	CHECK_EQ(nftw(t_at("a"), drop, 5, FTW_PHYS | FTW_DEPTH), 0);
	CHECK(!t_exists(t_at("a")));
}

static void hierarchy(void)
{
	char top[PATH_MAX];
	char *const roots[] = {top, NULL};
	int files = 0, dirs = 0, links = 0;
	FTSENT *entry;

	tree();
	t_into(top, "a");
	for (int option = 0; option < 2; option++) {
		FTS *fts = MUST_PTR(fts_open(
			roots, FTS_PHYSICAL | (option ? FTS_NOCHDIR : 0),
			NULL));

		while ((entry = fts_read(fts))) {
			files += entry->fts_info == FTS_F;
			dirs += entry->fts_info == FTS_D;
			links += entry->fts_info == FTS_SL;
		}
		CHECK_OK(fts_close(fts));
	}
	CHECK_EQ(files, 6);
	CHECK_EQ(dirs, 6);
	CHECK_EQ(links, 2);
}

static void patterns(void)
{
	glob_t found;

	tree();
	CHECK_EQ(glob(t_at("a/*"), 0, NULL, &found), 0);
	CHECK_EQ(found.gl_pathc, 3);
	CHECK_STR(found.gl_pathv[0], t_at("a/b"));
	globfree(&found);
	CHECK_EQ(glob(t_at("*/*/f?"), GLOB_MARK, NULL, &found), 0);
	CHECK_EQ(found.gl_pathc, 2);
	globfree(&found);
	CHECK_EQ(glob(t_at("none*"), 0, NULL, &found), GLOB_NOMATCH);
	MUST(chdir(t_at("a")));
	CHECK_EQ(glob("b/c/*", 0, NULL, &found), 0);
	CHECK_EQ(found.gl_pathc, 1);
	CHECK_STR(found.gl_pathv[0], "b/c/f3");
	globfree(&found);
}

static void canonical(void)
{
	char buf[PATH_MAX];
	char *made;

	tree();
	CHECK_STR(realpath(t_at("a/l/../b/./c//f3"), buf), t_at("a/b/c/f3"));
	CHECK_STR(realpath(t_at("a/l/c"), buf), t_at("a/b/c"));
	MUST(symlink(t_at("a/l"), t_at("abs")));
	CHECK_STR(realpath(t_at("abs/f2"), buf), t_at("a/b/f2"));
	errno = 0;
	CHECK(realpath(t_at("a/none"), buf) == NULL);
	CHECK_EQ(errno, ENOENT);
	errno = 0;
	CHECK(realpath(t_at("a/f1/x"), buf) == NULL);
	CHECK_EQ(errno, ENOTDIR);
	MUST(chdir(t_at("a/b")));
	made = realpath("../f1", NULL);
	CHECK_STR(made, t_at("a/f1"));
	free(made);
	made = canonicalize_file_name(".");
	CHECK_STR(made, t_at("a/b"));
	free(made);
	made = realpath(".", NULL);
	CHECK_STR(made, t_at("a/b"));
	free(made);
}

T_MAIN(CASE(scan), CASE(walk), CASE(hierarchy), CASE(patterns), CASE(canonical))
