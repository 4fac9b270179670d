/* Names removed, replaced and exchanged while several processes have the file open, which are killed. */
#include <signal.h>
#include <sys/mman.h>
#include "t.h"

#define HOLDERS 6

/* Opens, says so, and holds on until killed. */
static pid_t holder(const char *path, int ready)
{
	pid_t pid = MUST(fork());

	if (pid == 0) {
		int fd = MUST(open(path, O_RDWR));

		MUST(write(ready, "r", 1));
		for (;;)
			MUST(pwrite(fd, "H", 1, 9));
	}
	return pid;
}

static void vanish(const char *path, int how)
{
	switch (how) {
	case 0:
		CHECK_OK(unlink(path));
		break;
	case 1:
		t_put(t_at("other"), "other");
		CHECK_OK(rename(t_at("other"), path));
		break;
	default: /* exchanged, then removed under the other's name */
		t_put(t_at("other"), "other");
		CHECK_OK(renameat2(AT_FDCWD, t_at("other"), AT_FDCWD, path,
				   RENAME_EXCHANGE));
		CHECK_OK(unlink(t_at("other")));
	}
}

static void holders_die(void)
{
	char got[16], c;
	int ready[2];

	MUST(pipe(ready));
	for (int round = 0; round < 12; round++) {
		pid_t pids[HOLDERS];
		char path[PATH_MAX];

		t_into(path, "f%d", round);
		t_put(path, "0123456789");
		int fd = MUST(open(path, O_RDWR));

		for (int i = 0; i < HOLDERS; i++)
			pids[i] = holder(path, ready[1]);
		for (int i = 0; i < HOLDERS; i++)
			CHECK_EQ(read(ready[0], &c, 1), 1);
		/* some die before, some after; the file is whole for who is left */
		for (int i = 0; i < HOLDERS; i++) {
			if (i == round % HOLDERS)
				vanish(path, round % 3);
			MUST(kill(pids[i], SIGKILL));
			MUST(waitpid(pids[i], NULL, 0));
			CHECK_EQ(pread(fd, got, 16, 0), 10);
			CHECK_MEM(got, "012345678H", 10);
		}
		CHECK_EQ(pwrite(fd, "X", 1, 0), 1);
		CHECK_EQ(pread(fd, got, 1, 0), 1);
		CHECK_EQ(got[0], 'X');
		CHECK_OK(close(fd));
		if (round % 3)
			CHECK_FILE(path, "other");
		else
			CHECK(!t_exists(path));
	}
	MUST(close(ready[0]));
	MUST(close(ready[1]));
}

/* The remover dies in the middle, again and again; who reads finds all or nothing of it. */
static void removers_die(void)
{
	char got[16];

	for (int round = 0; round < 25; round++) {
		char path[PATH_MAX];

		t_into(path, "g");
		t_put(path, "0123456789");
		int fd = MUST(open(path, O_RDONLY));
		pid_t pid = MUST(fork());

		if (pid == 0) {
			for (;;) {
				unlink(path);
				t_put(t_at("new"), "new");
				rename(t_at("new"), path);
			}
		}
		usleep(500 + 700 * round);
		MUST(kill(pid, SIGKILL));
		MUST(waitpid(pid, NULL, 0));
		CHECK_EQ(pread(fd, got, 16, 0), 10);
		CHECK_MEM(got, "0123456789", 10);
		CHECK_OK(close(fd));
		unlink(path);
		unlink(t_at("new"));
	}
}

/* A mapping keeps the file as an open descriptor does. */
static void mapped(void)
{
	t_put(t_at("m"), "0123456789");
	int fd = MUST(open(t_at("m"), O_RDWR));
	char *map = MUST_PTR(
		mmap(NULL, 10, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));

	CHECK_OK(close(fd));
	CHECK_OK(unlink(t_at("m")));
	CHECK_MEM(map, "0123456789", 10);
	map[0] = 'M';
	CHECK_OK(msync(map, 10, MS_SYNC));
	t_put(t_at("m"), "another");
	CHECK_EQ(map[0], 'M');
	CHECK_EQ(map[9], '9');
	CHECK_OK(munmap(map, 10));
	CHECK_FILE(t_at("m"), "another");
}

T_MAIN(CASE(holders_die), CASE(removers_die), CASE(mapped))
