/* Thread cancellation: blocked calls can be cancelled, file calls keep state. */
#include <pthread.h>
#include "t.h"

static int pair[2], file;
static volatile int cleaned;

static void cleanup(void *arg)
{
	(void)arg;
	/* The handler may use files. */
	if (pwrite(file, "C", 1, 0) == 1)
		cleaned = 1;
}

static void *blocked(void *arg)
{
	char c;

	(void)arg;
	pthread_cleanup_push(cleanup, NULL);
	t_put(t_at("by-thread"), "x");
	if (read(pair[0], &c, 1) == 1)
		t_fail(T_HERE, "the pipe was empty");
	pthread_cleanup_pop(0);
	return NULL;
}

static void in_a_blocked_read(void)
{
	pthread_t thread;
	void *result = NULL;

	file = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));
	for (int i = 0; i < 20; i++) {
		cleaned = 0;
		MUST(pipe(pair));
		CHECK_ERR(pthread_create(&thread, NULL, blocked, NULL), 0);
		usleep(2000);
		CHECK_ERR(pthread_cancel(thread), 0);
		CHECK_ERR(pthread_join(thread, &result), 0);
		CHECK(result == PTHREAD_CANCELED);
		CHECK_EQ(cleaned, 1);
		CHECK_EQ(pwrite(file, "still", 5, 0), 5);
		CHECK_OK(close(pair[0]));
		CHECK_OK(close(pair[1]));
	}
	CHECK_OK(close(file));
}

static void *loops(void *arg)
{
	char path[PATH_MAX];

	t_into(path, "loop");
	for (;;) {
		int fd = open(path, O_RDWR | O_CREAT, 0644);

		if (fd >= 0) {
			pwrite(fd, "0123456789abcdef", 16, 0) == 16 ? 0
								    : abort();
			close(fd);
		}
	}
	return arg;
}

/* Cancelled anywhere between and inside file calls: nothing stays locked. */
static void in_file_calls(void)
{
	for (int i = 0; i < 30; i++) {
		pthread_t thread;
		void *result = NULL;

		CHECK_ERR(pthread_create(&thread, NULL, loops, NULL), 0);
		usleep(1000 + 137 * i);
		CHECK_ERR(pthread_cancel(thread), 0);
		CHECK_ERR(pthread_join(thread, &result), 0);
		CHECK(result == PTHREAD_CANCELED);
		t_put(t_at("f"), "free");
		CHECK_FILE(t_at("f"), "free");
	}
	CHECK_EQ(t_size(t_at("loop")), 16);
}

static void *disabled(void *arg)
{
	int old;

	(void)arg;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
	usleep(20000);
	t_put(t_at("f"), "whole");
	pthread_setcancelstate(old, NULL);
	pthread_testcancel();
	return NULL;
}

static void disabled_means_disabled(void)
{
	pthread_t thread;
	void *result = NULL;

	CHECK_ERR(pthread_create(&thread, NULL, disabled, NULL), 0);
	CHECK_ERR(pthread_cancel(thread), 0);
	CHECK_ERR(pthread_join(thread, &result), 0);
	CHECK(result == PTHREAD_CANCELED);
	CHECK_FILE(t_at("f"), "whole");
}

static void *pending(void *arg)
{
	struct stat st;

	pthread_cancel(pthread_self());
	/* stat is no cancellation point in glibc; open is. */
	if (stat(t_dir, &st) != 0)
		return arg;
	open(t_at("f"), O_RDWR | O_CREAT, 0644);
	return arg;
}

static void at_the_entry_of_open(void)
{
	pthread_t thread;
	void *result = NULL;

	CHECK_ERR(pthread_create(&thread, NULL, pending, NULL), 0);
	CHECK_ERR(pthread_join(thread, &result), 0);
	CHECK(result == PTHREAD_CANCELED);
	CHECK(!t_exists(t_at("f")));
}

T_MAIN(CASE(in_a_blocked_read), CASE(in_file_calls),
       CASE(disabled_means_disabled), CASE(at_the_entry_of_open))
