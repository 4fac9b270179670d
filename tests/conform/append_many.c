/*
 * O_APPEND under load: records of many writers, none lost, none torn. 8 x 1000 records;
 * with T_LONG in the environment 8 x 10000.
 */
#include <pthread.h>
#include "t.h"

#define WRITERS 8
#define RECORD 64

static int rounds(void)
{
	return getenv("T_LONG") ? 10000 : 1000;
}

/* "<writer> <number> xxxx...\n": whose it is can be seen at each of its bytes. */
static void record(char *buf, int writer, int number, size_t len)
{
	memset(buf, 'a' + writer, len);
	snprintf(buf, len, "%c%06d", 'a' + writer, number);
	buf[7] = 'a' + writer;
	buf[len - 1] = '\n';
}

static void append_all(int fd, int writer, int count)
{
	char buf[RECORD];

	for (int i = 0; i < count; i++) {
		record(buf, writer, i, RECORD);
		if (write(fd, buf, RECORD) != RECORD) {
			t_fail(T_HERE, "writer %d, record %d: errno %d", writer,
			       i, errno);
			return;
		}
	}
}

/* Every record of every writer, whole, each writer's in its order. */
static void check(const char *path, int count)
{
	int next[WRITERS] = {0}, fd = MUST(open(path, O_RDONLY));
	char got[RECORD], want[RECORD];
	ssize_t n;

	CHECK_EQ(t_size(path), (off_t)WRITERS * count * RECORD);
	while ((n = read(fd, got, RECORD)) == RECORD) {
		int who = got[0] - 'a';

		if (who < 0 || who >= WRITERS) {
			t_fail(T_HERE, "a record of nobody's");
			break;
		}
		record(want, who, next[who]++, RECORD);
		if (memcmp(got, want, RECORD) != 0) {
			t_fail(T_HERE, "writer %d, record %d: torn or lost",
			       who, next[who] - 1);
			break;
		}
	}
	CHECK_EQ(n, 0);
	for (int i = 0; i < WRITERS; i++)
		CHECK_EQ(next[i], count);
	MUST(close(fd));
}

static void opens_and_appends(void *arg)
{
	int fd = MUST(open(t_at("f"), O_WRONLY | O_APPEND));

	append_all(fd, (int)(long)arg, rounds());
	MUST(close(fd));
}

static void processes(void)
{
	pid_t pids[WRITERS];

	t_put(t_at("f"), "");
	for (long i = 0; i < WRITERS; i++)
		pids[i] = t_spawn(opens_and_appends, (void *)i);
	for (int i = 0; i < WRITERS; i++)
		CHECK_REAP(pids[i]);
	check(t_at("f"), rounds());
}

static char shared_path[PATH_MAX];

static void *thread_appends(void *arg)
{
	long which = (long)arg;
	int fd = MUST(open(shared_path, O_WRONLY));

	/* set later, as a program may */
	CHECK_OK(fcntl(fd, F_SETFL, O_APPEND));
	append_all(fd, which, rounds() / 4);
	MUST(close(fd));
	return NULL;
}

static void threads(void)
{
	pthread_t thread[WRITERS];

	t_into(shared_path, "f");
	t_put(shared_path, "");
	for (long i = 0; i < WRITERS; i++)
		CHECK_ERR(pthread_create(&thread[i], NULL, thread_appends,
					 (void *)i),
			  0);
	for (int i = 0; i < WRITERS; i++)
		CHECK_ERR(pthread_join(thread[i], NULL), 0);
	check(shared_path, rounds() / 4);
}

static int inherited;

static void appends_inherited(void *arg)
{
	append_all(inherited, (int)(long)arg, rounds() / 4);
}

/* One description: opened, duplicated, handed to children; the flag set through the twin. */
static void one_description(void)
{
	pid_t pids[WRITERS];

	inherited = MUST(open(t_at("f"), O_WRONLY | O_CREAT, 0644));
	int twin = MUST(dup(inherited));

	CHECK_OK(fcntl(twin, F_SETFL, O_APPEND));
	CHECK(fcntl(inherited, F_GETFL) & O_APPEND);
	for (long i = 0; i < WRITERS; i++)
		pids[i] = t_spawn(appends_inherited, (void *)i);
	for (int i = 0; i < WRITERS; i++)
		CHECK_REAP(pids[i]);
	check(t_at("f"), rounds() / 4);
	CHECK_OK(close(twin));
	CHECK_OK(close(inherited));
}

/* In the new programs, started by the case below. */
static void in_a_program(void)
{
	const char *text = getenv("T_WRITER");

	if (!text)
		SKIP_CASE("runs only in the programs that executed starts");
	append_all(1, atoi(text), rounds() / 4);
}

static void executed(void)
{
	pid_t pids[WRITERS];
	int out = MUST(open(t_at("f"), O_WRONLY | O_CREAT | O_APPEND, 0644));

	for (int i = 0; i < WRITERS; i++) {
		pids[i] = MUST(fork());
		if (pids[i] == 0) {
			char text[16];

			snprintf(text, sizeof(text), "%d", i);
			setenv("T_WRITER", text, 1);
			MUST(dup2(out, 1));
			execl(t_self, t_self, t_at("in-%d", i), "kernel",
			      "in_a_program", (char *)NULL);
			_exit(99);
		}
	}
	CHECK_OK(close(out));
	for (int i = 0; i < WRITERS; i++)
		CHECK_REAP(pids[i]);
	check(t_at("f"), rounds() / 4);
}

/* Long records, over many pages and DFS chunks; read while they come. */
#define LONG_RECORD (3 << 20)

static void appends_long(void *arg)
{
	int fd = MUST(open(t_at("f"), O_WRONLY | O_APPEND));
	char *buf = MUST_PTR(malloc(LONG_RECORD));

	for (int i = 0; i < 4; i++) {
		record(buf, (int)(long)arg, i, LONG_RECORD);
		CHECK_EQ(write(fd, buf, LONG_RECORD), LONG_RECORD);
	}
	free(buf);
	MUST(close(fd));
}

static void long_records(void)
{
	pid_t pids[3];
	int next[3] = {0};
	char *got = MUST_PTR(malloc(LONG_RECORD));
	char *want = MUST_PTR(malloc(LONG_RECORD));

	t_put(t_at("f"), "");
	for (long i = 0; i < 3; i++)
		pids[i] = t_spawn(appends_long, (void *)i);
	for (int i = 0; i < 3; i++)
		CHECK_REAP(pids[i]);
	int fd = MUST(open(t_at("f"), O_RDONLY));

	for (int i = 0; i < 12; i++) {
		CHECK_EQ(pread(fd, got, LONG_RECORD, (off_t)i * LONG_RECORD),
			 LONG_RECORD);
		int who = got[0] - 'a';

		CHECK(who >= 0 && who < 3);
		if (who < 0 || who >= 3)
			break;
		record(want, who, next[who]++, LONG_RECORD);
		CHECK_MEM(got, want, LONG_RECORD);
	}
	CHECK_EQ(t_size(t_at("f")), (off_t)12 * LONG_RECORD);
	CHECK_OK(close(fd));
	free(got);
	free(want);
}

T_MAIN(CASE(processes), CASE(threads), CASE(one_description),
       CASE(in_a_program), CASE(executed), CASE(long_records))
