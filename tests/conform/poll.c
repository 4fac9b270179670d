/* poll, select, epoll on files: always ready; epoll refuses them. */
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include "t.h"

static void always_ready(void)
{
	int pair[2];
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	MUST(pipe(pair));
	struct pollfd p[2] = {{.fd = fd, .events = POLLIN | POLLOUT},
			      {.fd = pair[0], .events = POLLIN}};

	CHECK_EQ(poll(p, 2, 0), 1);
	CHECK_EQ(p[0].revents, POLLIN | POLLOUT);
	CHECK_EQ(p[1].revents, 0);
	CHECK_EQ(poll(p, 2, -1), 1);
	struct timespec none = {0, 0};

	CHECK_EQ(ppoll(p, 1, &none, NULL), 1);
	fd_set in, out;

	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_SET(fd, &in);
	FD_SET(pair[0], &in);
	FD_SET(fd, &out);
	struct timeval now = {0, 0};

	CHECK_EQ(select(pair[0] + 1, &in, &out, NULL, &now), 2);
	CHECK(FD_ISSET(fd, &in));
	CHECK(FD_ISSET(fd, &out));
	CHECK(!FD_ISSET(pair[0], &in));
	CHECK_OK(close(fd));
	CHECK_EQ(poll(p, 1, 0), 1);
	CHECK_EQ(p[0].revents, POLLNVAL);
	CHECK_OK(close(pair[0]));
	CHECK_OK(close(pair[1]));
}

static void epoll_refuses(void)
{
	struct epoll_event event = {.events = EPOLLIN};
	int ep = MUST(epoll_create1(EPOLL_CLOEXEC));
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event), EPERM);
	CHECK_OK(close(fd));
	CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event), EBADF);
	CHECK_OK(close(ep));
}

T_MAIN(CASE(always_ready), CASE(epoll_refuses))
