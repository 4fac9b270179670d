/* mknod(2), mkfifo(3): plain files work; DFS keeps no other kinds (EPERM). */
#include <sys/sysmacros.h>
#include "t.h"

static void plain_file(void)
{
	CHECK_OK(mknod(t_at("f"), S_IFREG | 0640, 0));
	CHECK_EQ(t_mode(t_at("f")), S_IFREG | 0640);
	CHECK_OK(mknod(t_at("g"), 0600, 0));
	CHECK_EQ(t_mode(t_at("g")), S_IFREG | 0600);
	CHECK_ERRNO(mknod(t_at("f"), S_IFREG | 0640, 0), EEXIST);
	CHECK_ERRNO(mknod(t_at("none/f"), S_IFREG | 0640, 0), ENOENT);
	int dir = MUST(open(t_dir, O_RDONLY));

	CHECK_OK(mknodat(dir, "h", S_IFREG | 0600, 0));
	CHECK(t_exists(t_at("h")));
	CHECK_OK(close(dir));
	CHECK_ERRNO2(mknod(t_at("x"), S_IFDIR | 0755, 0), EPERM, EINVAL);
}

static void fifo(void)
{
	if (t_mount()) {
		/* A pipe cannot live on DAOS. */
		CHECK_ERRNO2(mkfifo(t_at("p"), 0600), EPERM, EOPNOTSUPP);
		CHECK(!t_exists(t_at("p")));
		return;
	}
	CHECK_OK(mkfifo(t_at("p"), 0600));
	CHECK_EQ(t_mode(t_at("p")), S_IFIFO | 0600);
	int fd = MUST(open(t_at("p"), O_RDWR));
	char c;

	CHECK_EQ(write(fd, "x", 1), 1);
	CHECK_EQ(read(fd, &c, 1), 1);
	CHECK_OK(close(fd));
}

static void device(void)
{
	if (t_mount() || !t_root())
		CHECK_ERRNO2(mknod(t_at("c"), S_IFCHR | 0600, makedev(1, 3)),
			     EPERM, EOPNOTSUPP);
	CHECK_ERRNO(mkfifo(t_bad_pointer(0), 0600), EFAULT);
}

T_MAIN(CASE(plain_file), CASE(fifo), CASE(device))
