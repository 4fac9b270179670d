/* Thread cancellation: blocked calls can be cancelled, file calls keep state. */
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>
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

/* Calls that create descriptors are cancellation points like any other: a kernel's one that blocks. */
static void *accepts(void *arg)
{
	pthread_cleanup_push(cleanup, NULL);
	accept(*(int *)arg, NULL, NULL);
	pthread_cleanup_pop(0);
	return NULL;
}

static void *receives(void *arg)
{
	char byte, control[CMSG_SPACE(sizeof(int))];
	struct iovec vec = {&byte, 1};
	struct msghdr message = {.msg_iov = &vec,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control)};

	pthread_cleanup_push(cleanup, NULL);
	recvmsg(*(int *)arg, &message, 0);
	pthread_cleanup_pop(0);
	return NULL;
}

static void *opens(void *arg)
{
	pthread_cleanup_push(cleanup, NULL);
	open(arg, O_RDONLY);
	pthread_cleanup_pop(0);
	return NULL;
}

static void cancelled(void *(*start)(void *), void *arg)
{
	for (int i = 0; i < 10; i++) {
		pthread_t thread;
		void *result = NULL;

		cleaned = 0;
		CHECK_ERR(pthread_create(&thread, NULL, start, arg), 0);
		usleep(i ? 2000 : 50000);
		CHECK_ERR(pthread_cancel(thread), 0);
		CHECK_ERR(pthread_join(thread, &result), 0);
		CHECK(result == PTHREAD_CANCELED);
		CHECK_EQ(cleaned, 1);
	}
}

static void in_a_blocked_birth(void)
{
	struct sockaddr_un address = {AF_UNIX, ""};
	int listening = MUST(socket(AF_UNIX, SOCK_STREAM, 0)), both[2];
	char fifo[] = "/tmp/t-cancel-XXXXXX";

	file = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));
	CHECK_OK(bind(listening, (struct sockaddr *)&address,
		      sizeof(sa_family_t)));
	CHECK_OK(listen(listening, 1));
	cancelled(accepts, &listening);
	CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, both));
	cancelled(receives, &both[0]);
	/* A pipe of the kernel's: DFS has none. */
	MUST(mkdtemp(fifo));
	char *path = NULL;
	MUST(asprintf(&path, "%s/p", fifo));
	CHECK_OK(mkfifo(path, 0600));
	cancelled(opens, path);
	CHECK_OK(unlink(path));
	CHECK_OK(rmdir(fifo));
	free(path);
	close(listening);
	close(both[0]);
	close(both[1]);
	close(file);
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

T_MAIN(CASE(in_a_blocked_read), CASE(in_a_blocked_birth), CASE(in_file_calls),
       CASE(disabled_means_disabled), CASE(at_the_entry_of_open))
