/*
 * The public functions (include/pil4dfs.h), in a process that began without a mount. The store's
 * container "cont" of "pool" is mounted at a path that does not exist; errors leave errno alone.
 */
#include "t.h"

#include <dirent.h>
#include <pil4dfs.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>

/* What programs were compiled with stays where it is. */
_Static_assert(offsetof(struct pil4dfs_stats, size) == 0, "the first member");
_Static_assert(offsetof(struct pil4dfs_stats, mappings) == 112,
	       "the last member of version 0.1");

#define POINT "/pil4dfs-api/mnt"

static char reason[512];

static const char *why(void)
{
	pil4dfs_reason(reason, sizeof(reason));
	return reason;
}

static int mount_it(void)
{
	return pil4dfs_mount("pool", getenv("T_CONT"), POINT, 0);
}

/* The numbers, checked to be whole. */
static struct pil4dfs_stats stats(void)
{
	struct pil4dfs_stats s = {.size = sizeof(s)};

	CHECK_EQ(pil4dfs_statistics(&s), 0);
	CHECK_EQ(s.size, sizeof(s));
	return s;
}

static void rests_without_a_mount(void)
{
	int version[3];

	CHECK_EQ(sscanf(pil4dfs_version(), "%d.%d.%d", version, version + 1,
			version + 2),
		 3);
	CHECK_EQ(pil4dfs_active(), 0);
	CHECK_EQ(pil4dfs_owns(0), 0);
	CHECK_EQ(pil4dfs_owns_path("/"), 0);
	CHECK_EQ(pil4dfs_flush(), 0);
	CHECK_EQ(pil4dfs_unmount(POINT, 0), -EINVAL);
	CHECK(strstr(why(), "D_IL_POOL"));
	CHECK_EQ(stats().mounts, 0);
}

static void *sleeper(void *end)
{
	while (!__atomic_load_n((int *)end, __ATOMIC_RELAXED))
		usleep(1000);
	return NULL;
}

static void beside_a_thread(void *arg)
{
	pthread_t thread;
	int end = 0;

	(void)arg;
	MUST(-pthread_create(&thread, NULL, sleeper, &end));
	CHECK_EQ(mount_it(), -ETXTBSY);
	CHECK(strstr(why(), "threads"));
	__atomic_store_n(&end, 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	CHECK_EQ(pil4dfs_active(), 0);
}

static void libc_is_not_patched_beside_threads(void)
{
	CHECK_REAP(t_spawn(beside_a_thread, NULL));
}

static void wrong_arguments(void)
{
	const char *cont = getenv("T_CONT");

	errno = 0;
	CHECK_EQ(pil4dfs_mount(NULL, cont, POINT, 0), -EINVAL);
	CHECK_EQ(pil4dfs_mount("pool", NULL, POINT, 0), -EINVAL);
	CHECK_EQ(pil4dfs_mount("pool", cont, NULL, 0), -EINVAL);
	CHECK_EQ(pil4dfs_mount("pool", cont, POINT, 2), -EINVAL);
	CHECK_EQ(pil4dfs_mount("pool", cont, "relative", 0), -EINVAL);
	CHECK_EQ(pil4dfs_mount("pool", cont, "/", 0), -EINVAL);
	CHECK_EQ(pil4dfs_mount("pool", cont, "/a/../b", 0), -EINVAL);
	CHECK_EQ(pil4dfs_unmount(NULL, 0), -EINVAL);
	CHECK_EQ(pil4dfs_unmount(POINT, 1), -EINVAL);
	CHECK_EQ(pil4dfs_statistics(NULL), -EINVAL);
	CHECK_EQ(pil4dfs_owns_path(NULL), 0);
	CHECK_EQ(pil4dfs_owns_path(""), 0);
	CHECK_EQ(pil4dfs_owns_path(t_bad_pointer(0)), 0);
	CHECK_EQ(errno, 0);
}

static void no_such_container(void)
{
	CHECK_EQ(pil4dfs_mount("pool", "nothing", POINT, 0), -ENOENT);
	CHECK(strstr(why(), "no such pool or container"));
	CHECK_EQ(pil4dfs_mount("nothing", "nothing", POINT, 0), -ENOENT);
	CHECK_EQ(pil4dfs_owns_path(POINT), 0);
	CHECK(!t_exists(POINT));
}

static void comes_and_goes(void)
{
	FILE *stream;

	CHECK_EQ(pil4dfs_owns_path(POINT), 0);
	errno = 7;
	CHECK_EQ(mount_it(), 0);
	CHECK_EQ(errno, 7);
	CHECK_EQ(pil4dfs_active(), 1);
	CHECK_EQ(mount_it(), -EBUSY);
	CHECK_EQ(pil4dfs_mount("pool", getenv("T_CONT"), POINT "/", 0), -EBUSY);
	t_put(POINT "/file", "by a call\n");
	/* libc's own calls, too */
	stream = MUST_PTR(fopen(POINT "/stream", "w"));
	fprintf(stream, "%s\n", "by stdio");
	MUST(fclose(stream));
	CHECK_EQ(pil4dfs_unmount(POINT, 0), 0);
	CHECK_EQ(pil4dfs_owns_path(POINT "/file"), 0);
	CHECK_ERRNO(open(POINT "/file", O_RDONLY), ENOENT);
	CHECK_EQ(pil4dfs_unmount(POINT, 0), -EINVAL);
	CHECK_EQ(mount_it(), 0);
	CHECK_FILE(POINT "/file", "by a call\n");
	CHECK_FILE(POINT "/stream", "by stdio\n");
	CHECK_EQ(pil4dfs_unmount(POINT "/", 0), 0);
}

static void read_only(void)
{
	CHECK_EQ(mount_it(), 0);
	t_put(POINT "/kept", "as it was");
	CHECK_EQ(pil4dfs_unmount(POINT, 0), 0);
	CHECK_EQ(pil4dfs_mount("pool", getenv("T_CONT"), POINT, PIL4DFS_RDONLY),
		 0);
	CHECK_FILE(POINT "/kept", "as it was");
	CHECK_ERRNO(open(POINT "/kept", O_RDWR), EROFS);
	CHECK_ERRNO(mkdir(POINT "/new", 0755), EROFS);
	CHECK_EQ(pil4dfs_unmount(POINT, 0), 0);
}

static void whose_is_it(void)
{
	char link[PATH_MAX];
	int ours, kernels;

	CHECK_EQ(mount_it(), 0);
	ours = MUST(open(POINT "/whose", O_CREAT | O_RDWR, 0644));
	kernels = MUST(open("/", O_RDONLY));
	CHECK_EQ(pil4dfs_owns(ours), 1);
	CHECK_EQ(pil4dfs_owns(kernels), 0);
	CHECK_EQ(pil4dfs_owns(-1), 0);
	CHECK_EQ(pil4dfs_owns(1 << 30), 0);
	MUST(close(ours));
	CHECK_EQ(pil4dfs_owns(ours), 0);
	close(kernels);
	CHECK_EQ(pil4dfs_owns_path(POINT), 1);
	CHECK_EQ(pil4dfs_owns_path(POINT "/not/there/yet"), 1);
	CHECK_EQ(pil4dfs_owns_path(POINT "/../x"), 0);
	CHECK_EQ(pil4dfs_owns_path("/pil4dfs-api"), 0);
	t_into(link, "to-the-mount");
	MUST(symlink(POINT, link));
	CHECK_EQ(pil4dfs_owns_path(t_at("to-the-mount/file")), 1);
	CHECK_EQ(pil4dfs_owns_path(t_at("elsewhere")), 0);
	CHECK_EQ(pil4dfs_owns_path("relative"), 0);
	MUST(chdir(POINT));
	CHECK_EQ(pil4dfs_owns_path("relative"), 1);
	CHECK_EQ(pil4dfs_owns_path("../../etc"), 0);
	MUST(chdir("/"));
	CHECK_EQ(pil4dfs_unmount(POINT, 0), 0);
}

static void busy_while_something_is_open(void)
{
	void *map;
	DIR *dir;
	int fd;

	CHECK_EQ(mount_it(), 0);
	fd = MUST(open(POINT "/busy", O_CREAT | O_RDWR, 0644));
	MUST(ftruncate(fd, 4096));
	CHECK_EQ(pil4dfs_unmount(POINT, 0), -EBUSY);
	map = MUST_PTR(
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	MUST(close(fd));
	CHECK_EQ(stats().mappings, 1);
	CHECK_EQ(pil4dfs_unmount(POINT, 0), -EBUSY);
	MUST(munmap(map, 4096));
	dir = MUST_PTR(opendir(POINT));
	CHECK_EQ(pil4dfs_unmount(POINT, 0), -EBUSY);
	closedir(dir);
	MUST(chdir(POINT));
	CHECK_EQ(pil4dfs_unmount(POINT, 0), -EBUSY);
	MUST(chdir("/"));
	CHECK_EQ(pil4dfs_mount("pool", getenv("T_CONT"), POINT "/inner", 0), 0);
	CHECK_EQ(pil4dfs_unmount(POINT, 0), -EBUSY);
	CHECK_EQ(pil4dfs_unmount(POINT "/inner", 0), 0);
	/* none of this has hurt it */
	CHECK_EQ(t_size(POINT "/busy"), 4096);
	CHECK_EQ(pil4dfs_unmount(POINT, 0), 0);
}

static void flush_writes_mappings(void)
{
	char *map, seen[5] = "";
	int fd, other;

	CHECK_EQ(mount_it(), 0);
	fd = MUST(open(POINT "/mapped", O_CREAT | O_RDWR, 0644));
	MUST(ftruncate(fd, 4096));
	map = MUST_PTR(
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	memcpy(map, "dirt", 4);
	CHECK_EQ(pil4dfs_flush(), 0);
	other = MUST(open(POINT "/mapped", O_RDONLY));
	CHECK_EQ(read(other, seen, 4), 4);
	CHECK_STR(seen, "dirt");
	close(other);
	close(fd);
	munmap(map, 4096);
	CHECK_EQ(pil4dfs_unmount(POINT, 0), 0);
}

static void numbers(void)
{
	struct pil4dfs_stats before, after;
	uint64_t part[2] = {sizeof(part), 99}, *grown = calloc(40, 8);
	char buf[10];
	int fd;

	CHECK_EQ(mount_it(), 0);
	before = stats();
	CHECK(before.mounts == 1 && before.mounts_up == 1 &&
	      before.open_files == 0);
	CHECK(before.daos_connects >= 1 && before.daos_start_ns > 0 &&
	      before.daos_connect_ns > 0);
	fd = MUST(open(POINT "/counted", O_CREAT | O_TRUNC | O_RDWR, 0644));
	CHECK_EQ(write(fd, "0123456789", 10), 10);
	CHECK_EQ(pread(fd, buf, 7, 1), 7);
	CHECK_ERRNO(open(POINT "/none", O_RDONLY), ENOENT);
	after = stats();
	CHECK_EQ(after.bytes_written - before.bytes_written, 10);
	CHECK_EQ(after.bytes_read - before.bytes_read, 7);
	CHECK_EQ(after.calls - before.calls, 3);
	CHECK_EQ(after.errors - before.errors, 1);
	CHECK(after.dfs_calls > before.dfs_calls);
	CHECK_EQ(after.open_files, 1);
	MUST(close(fd));
	/* an older program's structure, and a newer one's */
	CHECK_EQ(pil4dfs_statistics((struct pil4dfs_stats *)part), 0);
	CHECK(part[0] == sizeof(part) && part[1] > 3);
	grown[0] = 40 * 8;
	CHECK_EQ(pil4dfs_statistics((struct pil4dfs_stats *)grown), 0);
	CHECK_EQ(grown[0], sizeof(struct pil4dfs_stats));
	grown[0] = 7;
	CHECK_EQ(pil4dfs_statistics((struct pil4dfs_stats *)grown), -EINVAL);
	free(grown);
	CHECK_EQ(pil4dfs_unmount(POINT, 0), 0);
	CHECK_EQ(stats().mounts, 0);
}

static void reason_fits_any_buffer(void)
{
	char small[4] = "###";
	size_t whole;

	CHECK_EQ(pil4dfs_mount("pool", "nothing", POINT, 0), -ENOENT);
	whole = pil4dfs_reason(NULL, 0);
	CHECK(whole > 20 && whole == pil4dfs_reason(reason, sizeof(reason)) &&
	      whole == strlen(reason));
	CHECK_EQ(pil4dfs_reason(small, sizeof(small)), whole);
	CHECK(strlen(small) == 3 && memcmp(small, reason, 3) == 0);
	small[0] = '#';
	pil4dfs_reason(small, 1);
	CHECK_STR(small, "");
}

static void in_a_child(void *arg)
{
	(void)arg;
	CHECK_EQ(stats().calls, 0);
	CHECK_FILE(POINT "/parents", "before the fork");
	t_put(POINT "/childs", "from the child");
	CHECK_EQ(pil4dfs_unmount(POINT, 0), 0);
	CHECK_EQ(mount_it(), 0);
	CHECK_FILE(POINT "/childs", "from the child");
}

static void fork_children_have_it(void)
{
	CHECK_EQ(mount_it(), 0);
	t_put(POINT "/parents", "before the fork");
	CHECK_REAP(t_spawn(in_a_child, NULL));
	CHECK_FILE(POINT "/childs", "from the child");
	CHECK_EQ(pil4dfs_unmount(POINT, 0), 0);
}

static int over;

static void *looks(void *arg)
{
	unsigned int n, seen = 0;

	(void)arg;
	for (n = 0; !__atomic_load_n(&over, __ATOMIC_RELAXED); n++) {
		struct stat st;
		int fd;

		if (stat(POINT "/d/looked-at", &st) == 0)
			seen++;
		else
			CHECK(errno == ENOENT || errno == ESTALE);
		fd = open(POINT "/d/looked-at", O_RDONLY);
		if (fd >= 0) {
			char byte;

			CHECK_EQ(read(fd, &byte, 1), 1);
			close(fd);
		}
	}
	CHECK(seen > 0);
	return NULL;
}

static void beside_calls_of_other_threads(void)
{
	pthread_t threads[3];
	int i, rounds = getenv("T_LONG") ? 2000 : 100, done = 0;

	CHECK_EQ(mount_it(), 0);
	MUST(mkdir(POINT "/d", 0755));
	t_put(POINT "/d/looked-at", "x");
	for (i = 0; i < 3; i++)
		MUST(-pthread_create(&threads[i], NULL, looks, NULL));
	for (i = 0; i < rounds; i++) {
		int r = pil4dfs_unmount(POINT, 0);

		if (r == 0) {
			done++;
			CHECK_EQ(mount_it(), 0);
		} else {
			CHECK_EQ(r, -EBUSY);
		}
		usleep(500);
	}
	__atomic_store_n(&over, 1, __ATOMIC_RELAXED);
	for (i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	CHECK(done > 0);
	CHECK_EQ(pil4dfs_unmount(POINT, 0), 0);
}

static int handled;

static void on_alarm(int sig)
{
	struct stat st;

	(void)sig;
	if (stat(POINT "/ticked", &st) == 0)
		handled++;
}

/* A handler that was there before the library came to life. */
static void handlers_of_before(void)
{
	struct itimerspec every = {{0, 2000000}, {0, 2000000}},
			  off = {{0, 0}, {0, 0}};
	timer_t timer;
	int i;

	CHECK_EQ(mount_it(), 0);
	t_put(POINT "/ticked", "");
	MUST(timer_create(CLOCK_MONOTONIC, NULL, &timer));
	MUST(timer_settime(timer, 0, &every, NULL));
	for (i = 0; i < 100000 && handled < 20; i++)
		CHECK_EQ(access(POINT "/ticked", F_OK), 0);
	MUST(timer_settime(timer, 0, &off, NULL));
	CHECK(handled >= 20);
	CHECK_EQ(pil4dfs_unmount(POINT, 0), 0);
}

__attribute__((constructor)) static void early_handler(void)
{
	signal(SIGALRM, on_alarm);
}

T_MAIN(CASE(rests_without_a_mount), CASE(libc_is_not_patched_beside_threads),
       CASE(wrong_arguments), CASE(no_such_container), CASE(comes_and_goes),
       CASE(read_only), CASE(whose_is_it), CASE(busy_while_something_is_open),
       CASE(flush_writes_mappings), CASE(numbers), CASE(reason_fits_any_buffer),
       CASE(fork_children_have_it), CASE(beside_calls_of_other_threads),
       CASE(handlers_of_before))
