/* bind(2) and connect(2) with a UNIX socket's path: a mount holds no sockets. */
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "t.h"

static int on(int (*call)(int, const struct sockaddr *, socklen_t), int sock,
	      const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	size_t len = strlen(path);

	if (len >= sizeof(a.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(a.sun_path, path, len + 1);
	return call(sock, (struct sockaddr *)&a,
		    offsetof(struct sockaddr_un, sun_path) + len + 1);
}

static int unix_socket(void)
{
	return MUST(socket(AF_UNIX, SOCK_STREAM, 0));
}

static void bound(void)
{
	int s = unix_socket(), c = unix_socket();

	if (t_mount()) {
		/* DAOS keeps no sockets: refused, and made nowhere else. */
		CHECK_ERRNO(on(bind, s, t_at("s")), EPERM);
		CHECK(!t_exists(t_at("s")));
		CHECK_ERRNO(on(connect, c, t_at("s")), ENOENT);
		MUST(chdir(t_dir));
		CHECK_ERRNO(on(bind, s, "s"), EPERM);
		MUST(chdir("/"));
	} else {
		CHECK_OK(on(bind, s, t_at("s")));
		CHECK_EQ(t_mode(t_at("s")) & S_IFMT, S_IFSOCK);
		CHECK_OK(listen(s, 1));
		CHECK_OK(on(connect, c, t_at("s")));
	}
	CHECK_OK(close(s));
	CHECK_OK(close(c));
}

static void refused(void)
{
	int s = unix_socket();

	t_put(t_at("f"), "x");
	MUST(mkdir(t_at("d"), 0755));
	MUST(symlink("none", t_at("dangling")));
	CHECK_ERRNO(on(bind, s, t_at("f")), EADDRINUSE);
	CHECK_ERRNO(on(bind, s, t_at("d")), EADDRINUSE);
	CHECK_ERRNO(on(bind, s, t_at("dangling")), EADDRINUSE);
	CHECK_ERRNO(on(bind, s, t_at("none/s")), ENOENT);
	CHECK_ERRNO(on(bind, s, t_at("f/s")), ENOTDIR);
	CHECK_ERRNO(on(connect, s, t_at("none")), ENOENT);
	CHECK_ERRNO(on(connect, s, t_at("f")), ECONNREFUSED);
	CHECK_ERRNO(on(connect, s, t_at("d")), ECONNREFUSED);
	CHECK_ERRNO(on(connect, s, t_at("f/s")), ENOTDIR);
	CHECK_ERRNO(on(connect, s, t_at("dangling")), ENOENT);
	CHECK_OK(close(s));
}

/* Who is no UNIX socket, and addresses that are no path, are as ever. */
static void others(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "\0pil"};
	int f = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));
	int s = unix_socket(), c = unix_socket();

	CHECK_ERRNO(on(bind, f, t_at("s")), ENOTSOCK);
	CHECK_ERRNO(on(connect, f, t_at("s")), ENOTSOCK);
	CHECK_ERRNO(on(bind, -1, t_at("s")), EBADF);
	snprintf(a.sun_path + 1, 64, "t_unix_%d_%d", getpid(), t_mount());
	CHECK_OK(bind(s, (struct sockaddr *)&a, sizeof(a)));
	CHECK_OK(listen(s, 1));
	CHECK_OK(connect(c, (struct sockaddr *)&a, sizeof(a)));
	CHECK_ERRNO(bind(c, t_bad_pointer(1), sizeof(a)), EFAULT);
	CHECK_OK(close(f));
	CHECK_OK(close(s));
	CHECK_OK(close(c));
}

/* A path that fills the address has no NUL. */
static void full_length(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int s = unix_socket();
	size_t len = strlen(t_dir);

	if (len + 2 > sizeof(a.sun_path))
		SKIP_CASE("a long directory");
	memset(a.sun_path, 'n', sizeof(a.sun_path));
	memcpy(a.sun_path, t_dir, len);
	a.sun_path[len] = '/';
	int got = bind(s, (struct sockaddr *)&a, sizeof(a));

	if (t_mount())
		CHECK(got == -1 && errno == EPERM);
	else
		CHECK_EQ(got, 0);
	CHECK_OK(close(s));
}

/* Through a link out of here, to a socket of the kernel's. */
static void elsewhere(void)
{
	char path[64];
	int s = unix_socket(), c = unix_socket();

	snprintf(path, sizeof(path), "/dev/shm/t_unix_%d_%d", getpid(),
		 t_mount());
	if (on(bind, s, path) != 0)
		SKIP_CASE("no /dev/shm");
	CHECK_OK(listen(s, 1));
	MUST(symlink(path, t_at("l")));
	CHECK_OK(on(connect, c, t_at("l")));
	CHECK_OK(unlink(path));
	CHECK_OK(close(s));
	CHECK_OK(close(c));
}

T_MAIN(CASE(bound), CASE(refused), CASE(others), CASE(full_length),
       CASE(elsewhere))
