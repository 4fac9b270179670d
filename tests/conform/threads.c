/* Threads that open, duplicate, read, write and close at the same time. */
#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include "t.h"

#define THREADS 32

static pthread_barrier_t together;
static int wrong;

#define CLAIM(expr)                                                            \
	do {                                                                   \
		if (!(expr)) {                                                 \
			t_fail(T_HERE, "thread: %s (errno %d)", #expr, errno); \
			__atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED);       \
			return NULL;                                           \
		}                                                              \
	} while (0)

static void run_threads(void *(*fn)(void *), int count)
{
	pthread_t threads[THREADS];

	pthread_barrier_init(&together, NULL, count);
	for (long i = 0; i < count; i++)
		CHECK_ERR(pthread_create(&threads[i], NULL, fn, (void *)i), 0);
	for (int i = 0; i < count; i++)
		CHECK_ERR(pthread_join(threads[i], NULL), 0);
	pthread_barrier_destroy(&together);
	CHECK_EQ(wrong, 0);
}

static void *own_files(void *arg)
{
	char path[PATH_MAX], text[32], got[32];
	long me = (long)arg;

	pthread_barrier_wait(&together);
	for (int i = 0; i < 50; i++) {
		t_into(path, "t%ld-%d", me, i);
		int len = snprintf(text, sizeof(text), "thread %ld turn %d", me,
				   i);
		int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0644);

		CLAIM(fd >= 0);
		CLAIM(write(fd, text, len) == len);
		int twin = dup(fd);

		CLAIM(twin >= 0);
		CLAIM(close(fd) == 0);
		CLAIM(pread(twin, got, sizeof(got), 0) == len);
		CLAIM(memcmp(got, text, len) == 0);
		CLAIM(close(twin) == 0);
		CLAIM(unlink(path) == 0);
	}
	return NULL;
}

static void each_its_own(void)
{
	run_threads(own_files, THREADS);
}

static int shared;

static void *disjoint(void *arg)
{
	long me = (long)arg;
	char block[64], got[64];

	memset(block, 'A' + me, sizeof(block));
	pthread_barrier_wait(&together);
	for (long i = 0; i < 50; i++) {
		off_t at = (i * THREADS + me) * 64;

		CLAIM(pwrite(shared, block, 64, at) == 64);
		CLAIM(pread(shared, got, 64, at) == 64);
		CLAIM(memcmp(got, block, 64) == 0);
	}
	return NULL;
}

static void one_file(void)
{
	struct stat st;

	shared = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));
	run_threads(disjoint, THREADS);
	CHECK_OK(fstat(shared, &st));
	CHECK_EQ(st.st_size, 50 * THREADS * 64);
	CHECK_OK(close(shared));
}

static void *through_one_offset(void *arg)
{
	char record[16];

	memset(record, 'A' + (long)arg, sizeof(record));
	pthread_barrier_wait(&together);
	for (int i = 0; i < 50; i++)
		CLAIM(write(shared, record, 16) == 16);
	return NULL;
}

/* write(2) is atomic over the offset: no record is lost or torn. */
static void one_offset(void)
{
	int seen[8] = {0};
	char record[16];

	shared = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));
	run_threads(through_one_offset, 8);
	CHECK_EQ(lseek(shared, 0, SEEK_CUR), 8 * 50 * 16);
	CHECK_EQ(lseek(shared, 0, SEEK_SET), 0);
	while (read(shared, record, 16) == 16) {
		for (int i = 1; i < 16; i++)
			CHECK_EQ(record[i], record[0]);
		if (record[0] >= 'A' && record[0] < 'A' + 8)
			seen[record[0] - 'A']++;
	}
	for (int i = 0; i < 8; i++)
		CHECK_EQ(seen[i], 50);
	CHECK_OK(close(shared));
}

/* One thread keeps replacing a number that the others use: old or new, never else. */
static volatile int stop;

static void *replaces(void *arg)
{
	long me = (long)arg;
	char c;

	pthread_barrier_wait(&together);
	if (me == 0) {
		for (int i = 0; i < 300; i++) {
			int fd = open(t_at(i % 2 ? "a" : "b"), O_RDONLY);

			CLAIM(fd >= 0);
			CLAIM(dup2(fd, shared) == shared);
			CLAIM(close(fd) == 0);
		}
		stop = 1;
		return NULL;
	}
	while (!stop) {
		CLAIM(pread(shared, &c, 1, 0) == 1);
		CLAIM(c == 'a' || c == 'b');
	}
	return NULL;
}

static void replaced_number(void)
{
	t_put(t_at("a"), "a");
	t_put(t_at("b"), "b");
	stop = 0;
	shared = MUST(open(t_at("a"), O_RDONLY));
	run_threads(replaces, 8);
	CHECK_OK(close(shared));
}

/* A socket or pipe must never be taken for a file whose number it inherits. */
static void *mixes(void *arg)
{
	long me = (long)arg;
	char path[PATH_MAX], got[8];

	t_into(path, "m%ld", me);
	pthread_barrier_wait(&together);
	for (int i = 0; i < 100; i++) {
		if (me % 2) {
			int pair[2];

			CLAIM(pipe(pair) == 0);
			CLAIM(write(pair[1], "pipe", 4) == 4);
			CLAIM(read(pair[0], got, 8) == 4);
			CLAIM(memcmp(got, "pipe", 4) == 0);
			CLAIM(close(pair[0]) == 0 && close(pair[1]) == 0);
		} else {
			int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);

			CLAIM(fd >= 0);
			CLAIM(write(fd, "file", 4) == 4);
			CLAIM(pread(fd, got, 8, 0) == 4);
			CLAIM(memcmp(got, "file", 4) == 0);
			CLAIM(close(fd) == 0);
		}
	}
	return NULL;
}

static void numbers_change_hands(void)
{
	run_threads(mixes, 16);
}

static void *makes_and_lists(void *arg)
{
	long me = (long)arg;
	char path[PATH_MAX];
	int mine = 0;

	pthread_barrier_wait(&together);
	for (int i = 0; i < 20; i++) {
		t_into(path, "dir-%ld-%d", me, i);
		CLAIM(mkdir(path, 0755) == 0);
	}
	DIR *dir = opendir(t_dir);
	struct dirent *entry;
	char prefix[16];

	CLAIM(dir != NULL);
	int len = snprintf(prefix, sizeof(prefix), "dir-%ld-", me);

	while ((entry = readdir(dir)))
		mine += strncmp(entry->d_name, prefix, len) == 0;
	CLAIM(closedir(dir) == 0);
	CLAIM(mine == 20);
	return NULL;
}

static void one_directory(void)
{
	run_threads(makes_and_lists, 16);
}

static void *exclusive(void *arg)
{
	static int winners;
	int fd;

	(void)arg;
	pthread_barrier_wait(&together);
	fd = open(t_at("only"), O_RDWR | O_CREAT | O_EXCL, 0644);
	if (fd >= 0) {
		CLAIM(__atomic_add_fetch(&winners, 1, __ATOMIC_SEQ_CST) == 1);
		CLAIM(close(fd) == 0);
	} else {
		CLAIM(errno == EEXIST);
	}
	return NULL;
}

static void one_winner(void)
{
	run_threads(exclusive, 16);
	CHECK(t_exists(t_at("only")));
}

/*
 * Eight numbers that 32 threads open, duplicate, replace, read and close, with
 * pipes among them. Only who took a number out of its place closes it; who reads
 * may find it closed, or changed, but never other bytes than one file's.
 */
#define PLACES 8
#define TURNS 150

static int places[PLACES];
static char paths[4][PATH_MAX];
static bool storming; /* a jump may leave a number open: they may run out */

static int take(int place, int fd)
{
	return __atomic_exchange_n(&places[place], fd, __ATOMIC_SEQ_CST);
}

/* Puts a number into its place and closes what was there. */
static bool put(int place, int fd)
{
	int old = take(place, fd);

	return old < 0 || close(old) == 0;
}

static bool reads_one_file(int fd)
{
	char got[64];
	ssize_t n = pread(fd, got, sizeof(got), 0);

	if (n <= 0)
		return n < 0 && (errno == EBADF || errno == ESPIPE);
	for (ssize_t i = 1; i < n; i++)
		if (got[i] != got[0])
			return false;
	return n == sizeof(got) && got[0] >= 'a' && got[0] <= 'd';
}

static bool ran_out(void)
{
	return storming && errno == EMFILE;
}

static bool one_turn(unsigned int turn)
{
	int place = turn % PLACES, fd, pair[2];

	switch (turn / PLACES % 8) {
	case 0:
	case 1:
		fd = open(paths[turn % 4], O_RDONLY);
		return fd < 0 ? ran_out() : put(place, fd);
	case 2:
		if (pipe(pair) != 0)
			return ran_out();
		return close(pair[1]) == 0 && put(place, pair[0]);
	case 3:
		fd = dup(places[place]);
		if (fd < 0)
			return errno == EBADF || ran_out();
		return put((place + 1) % PLACES, fd);
	case 4: /* onto a number that is ours while it is out of its place */
		fd = take(place, -1);
		if (fd < 0)
			return true;
		if (dup2(places[(place + 3) % PLACES], fd) < 0 &&
		    errno != EBADF)
			return false;
		return put(place, fd);
	case 5:
		fd = take(place, -1);
		return fd < 0 || close(fd) == 0;
	default:
		return reads_one_file(places[place]);
	}
}

static void fill_places(void)
{
	char text[64];

	for (int i = 0; i < 4; i++) {
		t_into(paths[i], "%c", 'a' + i);
		memset(text, 'a' + i, sizeof(text));
		int fd = MUST(open(paths[i], O_WRONLY | O_CREAT, 0644));

		CHECK_EQ(write(fd, text, sizeof(text)), 64);
		CHECK_OK(close(fd));
	}
	memset(places, -1, sizeof(places));
}

static void empty_places(void)
{
	char text[64];

	for (int i = 0; i < PLACES; i++)
		put(i, -1);
	int fd = MUST(open(paths[3], O_RDONLY));

	CHECK_EQ(read(fd, text, sizeof(text)), 64);
	CHECK(text[0] == 'd' && text[63] == 'd');
	CHECK_OK(close(fd));
}

static void *plays(void *arg)
{
	unsigned int seed = (long)arg + 1;

	pthread_barrier_wait(&together);
	for (int i = 0; i < TURNS; i++) {
		seed = seed * 1103515245 + 12345;
		CLAIM(one_turn(seed >> 12));
	}
	return NULL;
}

static void same_numbers(void)
{
	fill_places();
	run_threads(plays, THREADS);
	empty_places();
}

/* The same, and signals take the threads out of the middle of their calls. */
static __thread sigjmp_buf away;
static __thread volatile sig_atomic_t may_jump;
static pthread_t players[THREADS];
static int playing;

static void jumps_away(int sig)
{
	(void)sig;
	if (may_jump) {
		may_jump = 0;
		siglongjmp(away, 1);
	}
}

static void *plays_in_a_storm(void *arg)
{
	volatile unsigned int seed = (long)arg + 1;

	pthread_barrier_wait(&together);
	for (volatile int i = 0; i < TURNS; i++) {
		seed = seed * 1103515245 + 12345;
		if (sigsetjmp(away, 1) == 0) {
			may_jump = 1;
			bool right = one_turn(seed >> 12);

			may_jump = 0;
			CLAIM(right);
		}
	}
	__atomic_sub_fetch(&playing, 1, __ATOMIC_SEQ_CST);
	/* The storm may name this thread until all are done. */
	while (__atomic_load_n(&playing, __ATOMIC_SEQ_CST) > 0)
		usleep(1000);
	return NULL;
}

static void same_numbers_in_a_storm(void)
{
	struct sigaction act = {.sa_handler = jumps_away};

	fill_places();
	MUST(sigaction(SIGUSR1, &act, NULL));
	storming = true;
	playing = THREADS;
	pthread_barrier_init(&together, NULL, THREADS);
	for (long i = 0; i < THREADS; i++)
		CHECK_ERR(pthread_create(&players[i], NULL, plays_in_a_storm,
					 (void *)i),
			  0);
	for (int i = 0; __atomic_load_n(&playing, __ATOMIC_SEQ_CST) > 0; i++) {
		pthread_kill(players[i % THREADS], SIGUSR1);
		usleep(100);
	}
	for (int i = 0; i < THREADS; i++)
		CHECK_ERR(pthread_join(players[i], NULL), 0);
	pthread_barrier_destroy(&together);
	signal(SIGUSR1, SIG_IGN);
	CHECK_EQ(wrong, 0);
	for (int fd = 3; fd < 5000; fd++) /* those that a jump left open */
		close(fd);
	memset(places, -1, sizeof(places));
	empty_places();
}

T_MAIN(CASE(each_its_own), CASE(one_file), CASE(one_offset),
       CASE(replaced_number), CASE(numbers_change_hands), CASE(one_directory),
       CASE(one_winner), CASE(same_numbers), CASE(same_numbers_in_a_storm))
