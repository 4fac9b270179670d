/* O_APPEND with several writers: threads, processes, descriptors. */
#include "t.h"

#define ROUNDS 100

static void two_descriptors(void)
{
	int a = MUST(open(t_at("f"), O_WRONLY | O_CREAT | O_APPEND, 0644));
	int b = MUST(open(t_at("f"), O_WRONLY | O_APPEND));

	CHECK_EQ(write(a, "AA", 2), 2);
	CHECK_EQ(write(b, "bb", 2), 2);
	CHECK_EQ(write(a, "CC", 2), 2);
	CHECK_EQ(write(b, "dd", 2), 2);
	CHECK_FILE(t_at("f"), "AAbbCCdd");
	CHECK_EQ(lseek(a, 0, SEEK_CUR), 6);
	CHECK_EQ(lseek(b, 0, SEEK_CUR), 8);
	CHECK_OK(ftruncate(a, 0));
	CHECK_EQ(write(b, "e", 1), 1);
	CHECK_FILE(t_at("f"), "e");
	CHECK_OK(close(a));
	CHECK_OK(close(b));
}

static void writes_records(void *arg)
{
	char record[16];
	int fd = MUST(open(t_at("f"), O_WRONLY | O_APPEND));

	memset(record, 'a' + (long)arg, sizeof(record));
	for (int i = 0; i < ROUNDS; i++) {
		snprintf(record + 1, 6, "%04d", i);
		record[5] = record[0];
		CHECK_EQ(write(fd, record, 16), 16);
	}
	MUST(close(fd));
}

static void four_processes(void)
{
	pid_t pids[4];
	int next[4] = {0};
	char record[17] = "";

	t_put(t_at("f"), "");
	for (long i = 0; i < 4; i++)
		pids[i] = t_spawn(writes_records, (void *)i);
	for (int i = 0; i < 4; i++)
		CHECK_REAP(pids[i]);
	CHECK_EQ(t_size(t_at("f")), 4 * ROUNDS * 16);
	int fd = MUST(open(t_at("f"), O_RDONLY));

	while (read(fd, record, 16) == 16) {
		int who = record[0] - 'a';

		CHECK(who >= 0 && who < 4);
		if (who < 0 || who >= 4)
			break;
		/* Whole, and each writer's in its own order. */
		CHECK_EQ(atoi(record + 1), next[who]);
		CHECK_EQ(record[15], record[0]);
		next[who]++;
	}
	CHECK_OK(close(fd));
}

static void set_later(void)
{
	int a = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	CHECK_EQ(write(a, "12345", 5), 5);
	CHECK_EQ(lseek(a, 0, SEEK_SET), 0);
	CHECK_OK(fcntl(a, F_SETFL, O_APPEND));
	CHECK_EQ(write(a, "6", 1), 1);
	CHECK_FILE(t_at("f"), "123456");
	CHECK_OK(close(a));
}

static void in_streams(void)
{
	FILE *a = MUST_PTR(fopen(t_at("f"), "a")),
	     *b = MUST_PTR(fopen(t_at("f"), "a"));

	for (int i = 0; i < 3; i++) {
		fprintf(a, "a%d ", i);
		CHECK_EQ(fflush(a), 0);
		fprintf(b, "b%d ", i);
		CHECK_EQ(fflush(b), 0);
	}
	CHECK_EQ(fclose(a), 0);
	CHECK_EQ(fclose(b), 0);
	CHECK_FILE(t_at("f"), "a0 b0 a1 b1 a2 b2 ");
}

T_MAIN(CASE(two_descriptors), CASE(four_processes), CASE(set_later),
       CASE(in_streams))
