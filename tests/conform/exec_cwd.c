/* The working directory that goes along with an exec, when its name changes. */
#include "t.h"

static int ready[2], go[2];

/* The executed program waits for its word, then looks where it is. */
static int as_helper(char **argv)
{
	char cwd[PATH_MAX], buf[8] = "";
	struct stat st;

	if (write(atoi(argv[2]), "r", 1) != 1 ||
	    read(atoi(argv[3]), buf, 1) != 1)
		return 10;
	if (strcmp(argv[1], "@gone") == 0) {
		if (getcwd(cwd, sizeof(cwd)) || errno != ENOENT)
			return 11;
		if (open("f", O_RDWR | O_CREAT, 0644) >= 0 || errno != ENOENT)
			return 12;
		if (mkdir("d", 0755) == 0 || errno != ENOENT)
			return 13;
		return stat(".", &st) == 0 && st.st_nlink != 0 ? 14 : 0;
	}
	/* Open first, or getcwd first: either must find the very directory. */
	if (strcmp(argv[1], "@open") == 0) {
		int fd = open("f", O_RDONLY);

		if (fd < 0 || read(fd, buf, 3) != 3 || memcmp(buf, "old", 3))
			return 15;
	}
	if (!getcwd(cwd, sizeof(cwd)) || strcmp(cwd, argv[4]) != 0)
		return 16;
	int fd = open("f", O_RDONLY);

	return fd >= 0 && read(fd, buf, 3) == 3 && !memcmp(buf, "old", 3) ? 0
									  : 17;
}

struct start {
	const char *what, *dir, *later;
};

static void goes_there(void *arg)
{
	struct start *start = arg;
	char a[16], b[16];

	MUST(chdir(start->dir));
	snprintf(a, sizeof(a), "%d", ready[1]);
	snprintf(b, sizeof(b), "%d", go[0]);
	execl(t_self, t_self, start->what, a, b, start->later, (char *)NULL);
	t_fail(T_HERE, "execl: %s", strerror(errno));
}

static pid_t begin(const char *what, const char *dir, const char *later)
{
	struct start start = {what, dir, later};
	char c;

	MUST(pipe(ready));
	MUST(pipe(go));
	pid_t pid = t_spawn(goes_there, &start);

	MUST(read(ready[0], &c, 1));
	return pid;
}

static void end(pid_t pid)
{
	MUST(write(go[1], "g", 1));
	CHECK_REAP(pid);
	for (int i = 0; i < 2; i++) {
		MUST(close(ready[i]));
		MUST(close(go[i]));
	}
}

static void removed(void)
{
	MUST(mkdir(t_at("d"), 0755));
	pid_t pid = begin("@gone", t_at("d"), NULL);

	MUST(rmdir(t_at("d")));
	end(pid);
}

/* What has the old name now is another directory. */
static void removed_and_made_anew(void)
{
	MUST(mkdir(t_at("d"), 0755));
	pid_t pid = begin("@gone", t_at("d"), NULL);

	MUST(rmdir(t_at("d")));
	MUST(mkdir(t_at("d"), 0755));
	end(pid);
	CHECK(!t_exists(t_at("d/f")));
	CHECK(!t_exists(t_at("d/d")));
}

static void moved_in_time(const char *what, const char *above, bool anew)
{
	MUST(mkdir(t_at("%s", above), 0755));
	MUST(mkdir(t_at("%s/d", above), 0755));
	t_put(t_at("%s/d/f", above), "old");
	/* The directory itself moves, or the one above it. */
	const char *from = anew ? t_at("%s/d", above) : t_at("%s", above);
	const char *to = t_at("%s-moved", above);
	const char *later = anew ? to : t_at("%s-moved/d", above);
	pid_t pid = begin(what, t_at("%s/d", above), later);

	MUST(rename(from, to));
	if (anew) {
		MUST(mkdir(from, 0755));
		t_put(t_at("%s/d/f", above), "new");
	}
	end(pid);
}

static void moved(void)
{
	moved_in_time("@getcwd", "one", true);
	moved_in_time("@open", "two", true);
	moved_in_time("@getcwd", "three", false);
	moved_in_time("@open", "four", false);
}

int main(int argc, char **argv)
{
	static const struct t_case cases[] = {
		CASE(removed), CASE(removed_and_made_anew), CASE(moved)};

	if (argc > 3 && argv[1][0] == '@')
		return as_helper(argv);
	return t_run(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
