/* RLIMIT_NOFILE: EMFILE when the numbers are used up, and again room after close. */
#include <sys/resource.h>
#include "t.h"

static void exhaust(void *arg)
{
	struct rlimit limit = {.rlim_cur = 64, .rlim_max = 64};
	int last = -1, fd, count = 0;

	(void)arg;
	MUST(setrlimit(RLIMIT_NOFILE, &limit));
	t_put(t_at("f"), "x");
	while ((fd = open(t_at("f"), O_RDONLY)) >= 0) {
		last = fd;
		count++;
	}
	CHECK_EQ(errno, EMFILE);
	CHECK(count > 40);
	CHECK_EQ(last, 63);
	CHECK_ERRNO(dup(last), EMFILE);
	CHECK_ERRNO(fcntl(last, F_DUPFD, 0), EMFILE);
	CHECK_ERRNO(fcntl(last, F_DUPFD, 64), EINVAL);
	CHECK_ERRNO(dup2(last, 64), EBADF);
	CHECK_ERRNO(open(t_at("new"), O_WRONLY | O_CREAT, 0644), EMFILE);
	CHECK_OK(close(40));
	CHECK_EQ(open(t_at("f"), O_RDONLY), 40);
	CHECK_EQ(dup2(last, 40), 40);
	CHECK_OK(close(last));
	CHECK_EQ(dup(40), last);
}

static void emfile(void)
{
	CHECK_CHILD(exhaust, NULL);
}

T_MAIN(CASE(emfile))
