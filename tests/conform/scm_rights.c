/* Passing descriptors over a socket: kernel files go; ours may be refused. */
#include <sys/socket.h>
#include "t.h"

static ssize_t pass(int sock, int fd)
{
	char c = 'd', control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec v = {&c, 1};
	struct msghdr msg = {.msg_iov = &v,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
	return sendmsg(sock, &msg, 0);
}

static int take(int sock)
{
	char c, control[CMSG_SPACE(sizeof(int))];
	struct iovec v = {&c, 1};
	struct msghdr msg = {.msg_iov = &v,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};
	int fd = -1;

	if (recvmsg(sock, &msg, MSG_CMSG_CLOEXEC) != 1 || !CMSG_FIRSTHDR(&msg))
		return -1;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
	return fd;
}

static void kernel_file(void)
{
	int pair[2], null = MUST(open("/dev/null", O_RDWR));

	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	CHECK_EQ(pass(pair[0], null), 1);
	int got = take(pair[1]);

	CHECK(got >= 0);
	CHECK_EQ(write(got, "x", 1), 1);
	CHECK_OK(close(got));
	CHECK_OK(close(null));
	CHECK_OK(close(pair[0]));
	CHECK_OK(close(pair[1]));
}

static void file_here(void)
{
	char c;
	int pair[2];

	t_put(t_at("f"), "x");
	int fd = MUST(open(t_at("f"), O_RDONLY));

	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	ssize_t n = pass(pair[0], fd);

	if (n < 0) {
		/* Refused on a mount until descriptors can travel. */
		CHECK(t_mount());
		CHECK_EQ(errno, EOPNOTSUPP);
	} else {
		int got = take(pair[1]);

		CHECK(got >= 0);
		CHECK_EQ(read(got, &c, 1), 1);
		CHECK_EQ(c, 'x');
		CHECK_OK(close(got));
	}
	CHECK_OK(close(fd));
	CHECK_OK(close(pair[0]));
	CHECK_OK(close(pair[1]));
}

/* Two messages at once, the second with the descriptor: all or nothing. */
static void in_many(void)
{
	char c = 'd', control[CMSG_SPACE(sizeof(int))] = {0}, got[8];
	struct iovec v = {&c, 1};
	struct mmsghdr msgs[2] = {0};
	int pair[2];

	t_put(t_at("f"), "x");
	int fd = MUST(open(t_at("f"), O_RDONLY));

	MUST(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
	for (int i = 0; i < 2; i++) {
		msgs[i].msg_hdr.msg_iov = &v;
		msgs[i].msg_hdr.msg_iovlen = 1;
	}
	CHECK_EQ(sendmmsg(pair[0], msgs, 2, 0), 2);
	CHECK_EQ(read(pair[1], got, 8), 1);
	CHECK_EQ(read(pair[1], got, 8), 1);
	msgs[1].msg_hdr.msg_control = control;
	msgs[1].msg_hdr.msg_controllen = sizeof(control);
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msgs[1].msg_hdr);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
	int n = sendmmsg(pair[0], msgs, 2, 0);

	if (n < 0) {
		/* Refused on a mount until descriptors can travel. */
		CHECK(t_mount());
		CHECK_EQ(errno, EOPNOTSUPP);
		CHECK_ERRNO(recv(pair[1], got, 8, MSG_DONTWAIT), EAGAIN);
	} else {
		CHECK_EQ(n, 2);
		CHECK_EQ(read(pair[1], got, 8), 1);
		fd = MUST(take(pair[1]));
		CHECK_EQ(read(fd, &c, 1), 1);
		CHECK_EQ(c, 'x');
	}
	CHECK_OK(close(fd));
	CHECK_OK(close(pair[0]));
	CHECK_OK(close(pair[1]));
}

T_MAIN(CASE(kernel_file), CASE(file_here), CASE(in_many))
