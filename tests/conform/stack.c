/* Every common call on a thread with a 16 KiB stack. */
#include <dirent.h>
#include <pthread.h>
#include <sys/mman.h>
#include "t.h"

static char dir_path[PATH_MAX], file_path[PATH_MAX], link_path[PATH_MAX],
	other_path[PATH_MAX];
static const char *broken;

#define TRY(expr)                                                              \
	do {                                                                   \
		if (!(expr)) {                                                 \
			broken = #expr;                                        \
			return NULL;                                           \
		}                                                              \
	} while (0)

static void *calls(void *arg)
{
	struct stat st;
	char c = 'x';
	int fd;

	TRY(mkdir(dir_path, 0755) == 0);
	TRY((fd = open(file_path, O_RDWR | O_CREAT, 0644)) >= 0);
	TRY(write(fd, &c, 1) == 1);
	TRY(pread(fd, &c, 1, 0) == 1);
	TRY(fstat(fd, &st) == 0);
	TRY(ftruncate(fd, 10) == 0);
	TRY(fsync(fd) == 0);
	TRY(close(fd) == 0);
	TRY(stat(file_path, &st) == 0);
	TRY(symlink("f", link_path) == 0);
	TRY(stat(link_path, &st) == 0);
	TRY(readlink(link_path, &c, 1) == 1);
	TRY(chmod(file_path, 0600) == 0);
	TRY(rename(file_path, other_path) == 0);
	TRY(access(other_path, R_OK) == 0);
	TRY(truncate(other_path, 0) == 0);
	TRY(chdir(dir_path) == 0);
	TRY((fd = open(".", O_RDONLY | O_DIRECTORY)) >= 0);
	TRY(close(fd) == 0);
	TRY(chdir("/") == 0);
	TRY(unlink(other_path) == 0);
	TRY(unlink(link_path) == 0);
	TRY(rmdir(dir_path) == 0);
	return arg;
}

static void on_small_stack(size_t size)
{
	pthread_attr_t attr;
	pthread_t thread;

	t_into(dir_path, "d");
	t_into(file_path, "d/f");
	t_into(link_path, "d/l");
	t_into(other_path, "d/g");
	broken = NULL;
	CHECK_ERR(pthread_attr_init(&attr), 0);
	CHECK_ERR(pthread_attr_setstacksize(&attr, size), 0);
	CHECK_ERR(pthread_create(&thread, &attr, calls, NULL), 0);
	CHECK_ERR(pthread_join(thread, NULL), 0);
	if (broken)
		t_fail(T_HERE, "on %zu bytes of stack: %s", size, broken);
}

static void warm(void)
{
	on_small_stack(1 << 20);
	on_small_stack(16384);
}

/* The very first call of the process that reaches the directory. */
static void first(void *arg)
{
	(void)arg;
	on_small_stack(16384);
}

static void cold(void)
{
	CHECK_CHILD(first, NULL);
	on_small_stack(65536);
}

T_MAIN(CASE(warm), CASE(cold))
