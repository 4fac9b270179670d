/* One file mapped shared and writable by two processes that are not related. */
#include <signal.h>
#include <sys/mman.h>
#include "t.h"

#define WRITABLE (PROT_READ | PROT_WRITE)

static void two_processes(void)
{
	int ready[2], fd = -1;
	char c, *map;

	t_put(t_at("f"), "0123456789");
	MUST(pipe(ready));
	pid_t pid = MUST(fork());

	if (pid == 0) {
		fd = MUST(open(t_at("f"), O_RDWR));
		map = MUST_PTR(mmap(NULL, 10, WRITABLE, MAP_SHARED, fd, 0));
		map[1] = 'C';
		MUST(msync(map, 10, MS_SYNC));
		MUST(write(ready[1], "r", 1));
		for (;;)
			pause();
	}
	CHECK_EQ(read(ready[0], &c, 1), 1);
	fd = MUST(open(t_at("f"), O_RDWR));
	map = mmap(NULL, 10, WRITABLE, MAP_SHARED, fd, 0);
	/* Pages that two processes write need a page store of the node: refused, never mixed. */
	if (t_mount())
		CHECK(map == MAP_FAILED && errno == ENODEV);
	else
		CHECK(map != MAP_FAILED && map[1] == 'C');
	/* To look at it is allowed, and so is a copy. */
	map = MUST_PTR(mmap(NULL, 10, PROT_READ, MAP_SHARED, fd, 0));
	CHECK_MEM(map, "0C23456789", 10);
	CHECK_OK(munmap(map, 10));
	map = MUST_PTR(mmap(NULL, 10, WRITABLE, MAP_PRIVATE, fd, 0));
	map[2] = 'P';
	CHECK_OK(munmap(map, 10));
	CHECK_FILE(t_at("f"), "0C23456789");
	/* With the other's end it is ours, however it ended. */
	MUST(kill(pid, SIGKILL));
	MUST(waitpid(pid, NULL, 0));
	map = MUST_PTR(mmap(NULL, 10, WRITABLE, MAP_SHARED, fd, 0));
	map[3] = 'O';
	CHECK_OK(munmap(map, 10));
	CHECK_FILE(t_at("f"), "0C2O456789");
	CHECK_OK(close(fd));
}

T_MAIN(CASE(two_processes))
