/*
 * The first use of a place in a new program, by many threads at once: whoever
 * comes first must do what a mount needs, and the others must not wait for
 * him in a circle - not even from inside the loader.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <pthread.h>
#include <time.h>
#include "t.h"

#define THREADS 32

static pthread_barrier_t together;
static const char *first;
static int wrong;

static bool looks(long me)
{
	struct stat st;
	char got[8];
	DIR *dir;
	int fd;

	switch (me % 4) {
	case 0:
		return stat(first, &st) == 0 && st.st_size == 5;
	case 1:
		return access(first, R_OK) == 0;
	case 2:
		dir = opendir(t_base);
		return dir && readdir(dir) && closedir(dir) == 0;
	default:
		fd = open(first, O_RDONLY);
		return fd >= 0 && read(fd, got, 8) == 5 &&
		       memcmp(got, "first", 5) == 0 && close(fd) == 0;
	}
}

static void *uses(void *arg)
{
	pthread_barrier_wait(&together);
	if (!looks((long)arg))
		__atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED);
	return NULL;
}

/* The loader's own lock is held while its files are opened. */
static void *loads(void *arg)
{
	static const char *const names[] = {"libm.so.6", "libresolv.so.2",
					    "libnsl.so.1", "libanl.so.1"};

	pthread_barrier_wait(&together);
	for (int i = 0; i < 20; i++) {
		void *library = dlopen(names[(i + (long)arg) % 4], RTLD_NOW);

		if (library && dlclose(library) != 0)
			__atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* libc reads the zone under a lock that others need to tell the time. */
static int tells_the_time(void)
{
	struct tm tm;
	time_t noon = 12 * 3600;

	tzset();
	if (!localtime_r(&noon, &tm) || strcmp(tzname[0], "XYZ") != 0)
		return 3;
	return tm.tm_hour == 13 && access(first, R_OK) == 0 ? 0 : 4;
}

static int as_helper(char **argv)
{
	bool beside = strcmp(argv[1], "@beside") == 0;
	pthread_t threads[THREADS];

	first = argv[2];
	t_base = argv[3];
	alarm(60);
	if (strcmp(argv[1], "@zone") == 0)
		return tells_the_time();
	pthread_barrier_init(&together, NULL, THREADS);
	for (long i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL,
				   beside && i % 2 ? loads : uses,
				   (void *)(beside ? i / 2 : i)) != 0)
			return 1;
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	return wrong ? 2 : 0;
}

static void helper(const char *what)
{
	pid_t pid;

	t_put(t_at("f"), "first");
	char *path = strdup(t_at("f"));

	for (int i = 0; i < 4; i++) {
		pid = MUST(fork());
		if (pid == 0) {
			execl(t_self, t_self, what, path, t_dir, (char *)NULL);
			_exit(127);
		}
		CHECK_REAP(pid);
	}
	free(path);
}

static void by_many_threads(void)
{
	helper("@many");
}

static void beside_the_loader(void)
{
	helper("@beside");
}

static void in_a_time_zone(void)
{
	/* Version 1, one type of local time: an hour east, called XYZ. */
	static const char zone[] =
		"TZif\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
		"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\4"
		"\0\0\x0e\x10\0\0XYZ";
	const char *old = getenv("TZ");
	char *before = old ? strdup(old) : NULL;

	t_put_mem(t_at("zone"), zone, sizeof(zone));
	char *path = strdup(t_at("zone")), *value = NULL;

	CHECK(asprintf(&value, ":%s", path) > 0);
	setenv("TZ", value, 1);
	helper("@zone");
	if (before)
		setenv("TZ", before, 1);
	else
		unsetenv("TZ");
	free(before);
	free(value);
	free(path);
}

static const struct t_case cases[] = {
	CASE(by_many_threads),
	CASE(beside_the_loader),
	CASE(in_a_time_zone),
};

int main(int argc, char **argv)
{
	if (argc > 1 && argv[1][0] == '@')
		return as_helper(argv);
	return t_run(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
