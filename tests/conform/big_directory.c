/*
 * Large directories and positions in them. A million entries only where
 * T_LONG is set (./tests/run --long).
 */
#include <dirent.h>
#include <sys/syscall.h>
#include <time.h>
#include "t.h"

struct linux_dirent64 {
	unsigned long long ino;
	long long off;
	unsigned short reclen;
	unsigned char type;
	char name[];
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* KiB of memory of our own; a file's pages that are mapped do not count. */
static long own_memory(void)
{
	char line[256];
	long kib = 0;
	FILE *f = MUST_PTR(fopen("/proc/self/status", "r"));

	while (fgets(line, sizeof(line), f))
		sscanf(line, "RssAnon: %ld", &kib);
	fclose(f);
	return kib;
}

static void make(const char *dir, int count)
{
	int fd = MUST(open(dir, O_RDONLY | O_DIRECTORY));
	char name[32];

	for (int i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "n%07d", i);
		MUST(mknodat(fd, name, S_IFREG | 0644, 0));
	}
	MUST(close(fd));
}

/* Every name once, whatever the number; answers the seconds. */
static double list(const char *path, int count, const char *what)
{
	unsigned char *seen = MUST_PTR(calloc(count, 1));
	struct dirent *entry;
	int n = 0, twice = 0, strange = 0;

	long before = own_memory();
	double start = now(), half = 0;
	DIR *dir = MUST_PTR(opendir(path));

	errno = 0;
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] != 'n')
			continue;
		int i = atoi(entry->d_name + 1);

		if (i < 0 || i >= count)
			strange++;
		else
			twice += seen[i]++;
		if (++n == count / 2)
			half = now() - start;
	}
	double all = now() - start;

	CHECK_EQ(errno, 0);
	CHECK_EQ(n, count);
	CHECK_EQ(twice, 0);
	CHECK_EQ(strange, 0);
	long grown = own_memory() - before;

	CHECK_OK(closedir(dir));
	free(seen);
	if (getenv("T_SAY"))
		fprintf(stderr, "%s: %d in %.2f s (half in %.2f), %ld KiB\n",
			what, count, all, half, grown);
	/* Some bytes a name beside the table above, not a string each. */
	CHECK(grown < 8192 + count / 64);
	return all;
}

static void remove_all(const char *path, int count)
{
	struct dirent *entry;
	int n = 0;
	DIR *dir = MUST_PTR(opendir(path));

	while ((entry = readdir(dir)))
		if (entry->d_name[0] == 'n')
			n += unlinkat(dirfd(dir), entry->d_name, 0) == 0;
	CHECK_OK(closedir(dir));
	CHECK_EQ(n, count);
	CHECK_OK(rmdir(path));
}

static void twenty_thousand(void)
{
	enum { COUNT = 20000 };

	MUST(mkdir(t_at("d"), 0755));
	make(t_at("d"), COUNT);
	list(t_at("d"), COUNT, t_name);
	CHECK_ERRNO(rmdir(t_at("d")), ENOTEMPTY);
	remove_all(t_at("d"), COUNT);
}

static void million(void)
{
	enum { COUNT = 1000000 };

	if (!getenv("T_LONG"))
		SKIP_CASE("only in the long mode");
	MUST(mkdir(t_at("small"), 0755));
	make(t_at("small"), COUNT / 10);
	double tenth = list(t_at("small"), COUNT / 10, "a tenth");

	MUST(mkdir(t_at("d"), 0755));
	make(t_at("d"), COUNT);
	double all = list(t_at("d"), COUNT, "all");

	/* Linear, with room for a busy machine. */
	CHECK(all < 30 * tenth + 1);
}

/* One entry at a time, and a name that does not fit. */
static void tiny_buffers(void)
{
	enum { COUNT = 400 };
	char buf[40];
	unsigned char seen[COUNT] = {0};
	int n = 0, fd;
	long long last = -1;

	MUST(mkdir(t_at("d"), 0755));
	make(t_at("d"), COUNT);
	fd = MUST(open(t_at("d"), O_RDONLY | O_DIRECTORY));
	for (;;) {
		long got = syscall(SYS_getdents64, fd, buf, sizeof(buf));
		struct linux_dirent64 *e = (void *)buf;

		if (got <= 0) {
			CHECK_EQ(got, 0);
			break;
		}
		CHECK_EQ(got, e->reclen);
		CHECK(e->off != last);
		last = e->off;
		if (e->name[0] == 'n')
			seen[atoi(e->name + 1)]++;
		CHECK_EQ(lseek(fd, 0, SEEK_CUR), e->off);
		n++;
	}
	CHECK_EQ(n, COUNT + 2);
	for (int i = 0; i < COUNT; i++)
		CHECK_EQ(seen[i], 1);
	CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
	CHECK_ERRNO(syscall(SYS_getdents64, fd, buf, 8), EINVAL);
	CHECK_ERRNO(syscall(SYS_getdents64, fd, buf, 0), EINVAL);
	CHECK(syscall(SYS_getdents64, fd, buf, sizeof(buf)) > 0);
	CHECK_OK(close(fd));
	/* The name does not fit: nothing is lost, the next try has it. */
	MUST(mkdir(t_at("long"), 0755));
	char name[201] = "";

	memset(name, 'n', 200);
	t_put(t_at("long/%s", name), "");
	fd = MUST(open(t_at("long"), O_RDONLY | O_DIRECTORY));
	while (syscall(SYS_getdents64, fd, buf, sizeof(buf)) > 0)
		;
	CHECK_EQ(errno, EINVAL);
	char room[512];
	long got = MUST(syscall(SYS_getdents64, fd, room, sizeof(room)));

	CHECK(got > 200);
	CHECK_STR(((struct linux_dirent64 *)room)->name, name);
	CHECK_EQ(syscall(SYS_getdents64, fd, room, sizeof(room)), 0);
	CHECK_OK(close(fd));
}

enum { MANY = 2000 };
static char names[MANY + 2][16];
static long at[MANY + 3];
static bool gone[MANY + 2];

static int index_of(const char *name)
{
	for (int i = 0; i < MANY + 2; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	return -1;
}

/* From position i comes the first name at or behind it that still is. */
static void check_from(DIR *dir, int i)
{
	struct dirent *entry;
	int want = i;

	while (want < MANY + 2 && gone[want])
		want++;
	seekdir(dir, at[i]);
	/* Names made since may come anywhere. */
	do
		entry = readdir(dir);
	while (entry && index_of(entry->d_name) < 0);
	if (want == MANY + 2)
		CHECK(entry == NULL);
	else
		CHECK_STR(entry ? entry->d_name : "(end)", names[want]);
}

static void positions_hold(void)
{
	struct dirent *entry;
	int n = 0;

	make(t_dir, MANY);
	DIR *dir = MUST_PTR(opendir(t_dir));

	for (;; n++) {
		at[n] = telldir(dir);
		entry = readdir(dir);
		if (!entry || n == MANY + 2)
			break;
		snprintf(names[n], sizeof(names[n]), "%.15s", entry->d_name);
	}
	CHECK_EQ(n, MANY + 2);
	memset(gone, 0, sizeof(gone));
	srandom(7);
	for (int round = 0; round < 12; round++) {
		/* Some go, at random and a whole stretch; some are new. */
		for (int k = 0; k < 60; k++) {
			int i = k < 30 ? random() % (MANY + 2)
				       : (round * 150 + k) % (MANY + 2);

			if (names[i][0] != 'n' || gone[i])
				continue;
			CHECK_OK(unlink(t_at("%s", names[i])));
			gone[i] = true;
			t_put(t_at("new-%d-%d", round, k), "");
		}
		for (int k = 0; k < 25; k++)
			check_from(dir, random() % (MANY + 2));
		check_from(dir, MANY + 1);
		check_from(dir, 2);
	}
	/* From the start all that are left come once. */
	bool seen[MANY + 2] = {0};

	seekdir(dir, at[0]);
	while ((entry = readdir(dir))) {
		int i = index_of(entry->d_name);

		if (i < 0)
			continue;
		CHECK(!seen[i]);
		CHECK(!gone[i]);
		seen[i] = true;
	}
	for (int i = 0; i < MANY + 2; i++)
		CHECK(seen[i] || gone[i]);
	CHECK_OK(closedir(dir));
}

/* Names that are there all the time come exactly once, whatever else does. */
static void changing(void)
{
	enum { STAY = 1500 };
	static unsigned char seen[STAY];
	struct dirent *entry;
	int step = 0;

	MUST(mkdir(t_at("d"), 0755));
	make(t_at("d"), STAY);
	for (int i = 0; i < STAY; i++)
		t_put(t_at("d/x%d", i), "");
	DIR *dir = MUST_PTR(opendir(t_at("d")));

	memset(seen, 0, sizeof(seen));
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == 'n')
			seen[atoi(entry->d_name + 1)]++;
		if (step < STAY) {
			CHECK_OK(unlink(t_at("d/x%d", step)));
			if (step % 3 == 0)
				t_put(t_at("d/y%d", step), "");
			if (step % 5 == 0)
				CHECK_OK(rename(t_at("d/y%d", step / 15 * 15),
						t_at("d/z%d", step)) == 0 ||
							 errno == ENOENT
						 ? 0
						 : -1);
		}
		step++;
	}
	for (int i = 0; i < STAY; i++)
		CHECK_EQ(seen[i], 1);
	CHECK_OK(closedir(dir));
}

T_MAIN(CASE(twenty_thousand), CASE(million), CASE(tiny_buffers),
       CASE(positions_hold), CASE(changing))
