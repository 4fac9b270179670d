/* open(2) by many at once: O_EXCL has one winner, O_CREAT one file, O_TRUNC no half. */
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include "t.h"

#define RACERS 4
#define ROUNDS 1000

struct board {
	volatile int wins[RACERS];
	volatile int round; /* of the starter */
	volatile int here[RACERS];
};

static struct board *board;

static void wait_for_round(int round)
{
	while (board->round < round)
		sched_yield();
}

static void races(void *arg)
{
	long me = (long)arg;
	char path[PATH_MAX];

	for (int i = 1; i <= ROUNDS; i++) {
		t_into(path, "r%d", i);
		wait_for_round(i);
		int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);

		if (fd >= 0) {
			board->wins[me] = i;
			CHECK_EQ(write(fd, &me, sizeof(me)), sizeof(me));
			CHECK_OK(close(fd));
		} else if (errno != EEXIST) {
			t_fail(T_HERE, "round %d: errno %d", i, errno);
		}
		board->here[me] = i;
	}
}

static void one_winner(void)
{
	pid_t pids[RACERS];
	int bad = 0;

	board = MUST_PTR(mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	for (long i = 0; i < RACERS; i++)
		pids[i] = t_spawn(races, (void *)i);
	for (int i = 1; i <= ROUNDS && !bad; i++) {
		int wins = 0;
		long who = -1, wrote = -2;

		board->round = i;
		for (int r = 0; r < RACERS; r++) {
			while (board->here[r] < i && kill(pids[r], 0) == 0)
				sched_yield();
			if (board->wins[r] == i) {
				wins++;
				who = r;
			}
		}
		int fd = open(t_at("r%d", i), O_RDONLY);

		if (wins != 1 || read(fd, &wrote, sizeof(wrote)) < 0 ||
		    wrote != who) {
			t_fail(T_HERE, "round %d: %d winners, %ld, %ld", i,
			       wins, who, wrote);
			bad = 1;
			for (int r = 0; r < RACERS; r++)
				kill(pids[r], SIGKILL);
		}
		close(fd);
		unlink(t_at("r%d", i));
	}
	for (int i = 0; i < RACERS; i++)
		CHECK_REAP(pids[i]);
	munmap((void *)board, 4096);
}

/* O_CREAT by many is one file, and nobody's bytes go. */
static void creates(void *arg)
{
	long me = (long)arg;
	char path[PATH_MAX];

	for (int i = 0; i < 200; i++) {
		t_into(path, "c%d", i);
		int fd = MUST(open(path, O_WRONLY | O_CREAT, 0644));
		char c = 'a' + me;

		CHECK_EQ(pwrite(fd, &c, 1, me), 1);
		MUST(close(fd));
	}
}

static void one_file(void)
{
	pid_t pids[RACERS];

	for (long i = 0; i < RACERS; i++)
		pids[i] = t_spawn(creates, (void *)i);
	for (int i = 0; i < RACERS; i++)
		CHECK_REAP(pids[i]);
	for (int i = 0; i < 200; i++)
		CHECK_FILE(t_at("c%d", i), "abcd");
}

/* A reader of a file that others truncate and rewrite sees a prefix of theirs, never a mix. */
static void rewrites(void *arg)
{
	long me = (long)arg;
	char text[101];

	memset(text, 'a' + me, 100);
	for (int i = 0; i < 150; i++) {
		int fd = MUST(open(t_at("t"), O_WRONLY | O_TRUNC));

		CHECK_EQ(write(fd, text, 100), 100);
		MUST(close(fd));
	}
}

static void truncates(void)
{
	char got[200];
	ssize_t n;

	t_put(t_at("t"), "");
	pid_t one = t_spawn(rewrites, (void *)0L);
	pid_t two = t_spawn(rewrites, (void *)1L);

	for (int i = 0; i < 300; i++) {
		int fd = MUST(open(t_at("t"), O_RDONLY));

		n = read(fd, got, sizeof(got));
		if (n != 0 && n != 100)
			t_fail(T_HERE, "%zd bytes", n);
		for (ssize_t k = 1; k < n; k++)
			if (got[k] != got[0]) {
				t_fail(T_HERE, "two writers' bytes");
				break;
			}
		MUST(close(fd));
	}
	CHECK_REAP(one);
	CHECK_REAP(two);
	CHECK_EQ(t_size(t_at("t")), 100);
}

T_MAIN(CASE(one_winner), CASE(one_file), CASE(truncates))
