/* fcntl(2): duplicates with a minimum, descriptor and status flags, the rest. */
#include <signal.h>
#include <stdint.h>
#include "t.h"

static void duplicates(void)
{
	int f = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));
	int a = MUST(fcntl(f, F_DUPFD, 80));

	CHECK_EQ(a, 80);
	CHECK_EQ(fcntl(f, F_DUPFD, 80), 81);
	CHECK_EQ(fcntl(a, F_GETFD), 0);
	CHECK_EQ(fcntl(f, F_DUPFD_CLOEXEC, 10) >= 10, 1);
	int c = MUST(fcntl(f, F_DUPFD_CLOEXEC, 200));

	CHECK_EQ(c, 200);
	CHECK_EQ(fcntl(c, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(write(f, "ab", 2), 2);
	CHECK_EQ(lseek(c, 0, SEEK_CUR), 2);
	CHECK_ERRNO(fcntl(f, F_DUPFD, -1), EINVAL);
	CHECK_ERRNO(fcntl(-1, F_DUPFD, 0), EBADF);
	CHECK_OK(close(a));
	CHECK_OK(close(81));
	CHECK_OK(close(c));
	CHECK_OK(close(f));
}

static void descriptor_flags(void)
{
	int f = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	CHECK_EQ(fcntl(f, F_GETFD), 0);
	CHECK_OK(fcntl(f, F_SETFD, FD_CLOEXEC));
	CHECK_EQ(fcntl(f, F_GETFD), FD_CLOEXEC);
	CHECK_OK(fcntl(f, F_SETFD, 0));
	CHECK_EQ(fcntl(f, F_GETFD), 0);
	CHECK_OK(close(f));
	CHECK_ERRNO(fcntl(f, F_GETFD), EBADF);
	CHECK_ERRNO(fcntl(f, F_GETFL), EBADF);
}

static void status_flags(void)
{
	t_put(t_at("f"), "base");
	int f = MUST(open(t_at("f"), O_RDWR));

	CHECK_EQ(fcntl(f, F_GETFL) & ~O_LARGEFILE & 0x7fff, O_RDWR);
	CHECK_OK(fcntl(f, F_SETFL, O_APPEND | O_NONBLOCK));
	CHECK_EQ(fcntl(f, F_GETFL) & (O_APPEND | O_NONBLOCK),
		 O_APPEND | O_NONBLOCK);
	CHECK_EQ(fcntl(f, F_GETFL) & O_ACCMODE, O_RDWR);
	CHECK_EQ(write(f, "+", 1), 1);
	CHECK_FILE(t_at("f"), "base+");
	CHECK_OK(fcntl(f, F_SETFL, 0));
	CHECK_EQ(lseek(f, 0, SEEK_SET), 0);
	CHECK_EQ(write(f, "B", 1), 1);
	CHECK_FILE(t_at("f"), "Base+");
	/* The access mode and creation flags cannot change. */
	CHECK_OK(fcntl(f, F_SETFL, O_WRONLY | O_TRUNC | O_CREAT));
	CHECK_EQ(fcntl(f, F_GETFL) & O_ACCMODE, O_RDWR);
	CHECK_FILE(t_at("f"), "Base+");
	CHECK_OK(close(f));
}

static void unknown(void)
{
	int f = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	CHECK_ERRNO(fcntl(f, 9999, 0), EINVAL);
	CHECK_ERRNO(fcntl(f, F_GETPIPE_SZ), EBADF);
	CHECK_OK(close(f));
}

static void owner_and_signal(void)
{
	int f = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	CHECK_EQ(fcntl(f, F_GETOWN), 0);
	CHECK_EQ(fcntl(f, F_GETSIG), 0);
	CHECK_OK(fcntl(f, F_SETOWN, getpid()));
	CHECK_EQ(fcntl(f, F_GETOWN), getpid());
	CHECK_OK(fcntl(f, F_SETSIG, SIGUSR1));
	CHECK_EQ(fcntl(f, F_GETSIG), SIGUSR1);
	CHECK_ERRNO(fcntl(f, F_SETSIG, 1000), EINVAL);
	CHECK_ERRNO(fcntl(f, F_SETOWN, 0x3fffffff), ESRCH);
	struct f_owner_ex owner = {F_OWNER_TID, 0};

	CHECK_OK(fcntl(f, F_GETOWN_EX, &owner));
	CHECK_EQ(owner.type, F_OWNER_PID);
	CHECK_EQ(owner.pid, getpid());
	owner.type = 77;
	CHECK_ERRNO(fcntl(f, F_SETOWN_EX, &owner), EINVAL);
	owner = (struct f_owner_ex){F_OWNER_PGRP, getpgrp()};
	CHECK_OK(fcntl(f, F_SETOWN_EX, &owner));
	int twin = MUST(dup(f));

	CHECK_OK(fcntl(twin, F_GETOWN_EX, &owner));
	CHECK_EQ(owner.type, F_OWNER_PGRP);
	CHECK_OK(fcntl(f, F_SETOWN, 0));
	CHECK_EQ(fcntl(twin, F_GETOWN), 0);
	CHECK_EQ(fcntl(twin, F_GETSIG), SIGUSR1);
	CHECK_OK(close(twin));
	CHECK_OK(close(f));
}

/* What file systems may lack: leases, notices, seals, pipes' sizes. */
static void not_for_all(void)
{
	int f = MUST(open(t_at("f"), O_RDONLY | O_CREAT, 0644));
	int dir = MUST(open(t_dir, O_RDONLY));

	CHECK_EQ(fcntl(f, F_GETLEASE), F_UNLCK);
	CHECK_ERRNO(fcntl(f, F_SETLEASE, F_UNLCK), EAGAIN);
	CHECK_ERRNO(fcntl(f, F_SETLEASE, 77), EINVAL);
	if (t_mount()) {
		/* As from file systems that nobody may break a lease of. */
		CHECK_ERRNO(fcntl(f, F_SETLEASE, F_RDLCK), EINVAL);
		CHECK_ERRNO(fcntl(dir, F_NOTIFY, DN_CREATE), EINVAL);
	}
	CHECK_ERRNO(fcntl(f, F_NOTIFY, DN_CREATE), ENOTDIR);
	CHECK_ERRNO(fcntl(f, F_ADD_SEALS, F_SEAL_GROW), EPERM);
	CHECK_ERRNO(fcntl(f, F_GET_SEALS), EINVAL);
	CHECK_ERRNO(fcntl(f, F_SETPIPE_SZ, 4096), EBADF);
	CHECK_OK(close(f));
	CHECK_OK(close(dir));
	f = MUST(open(t_at("f"), O_RDWR));
	CHECK_ERRNO(fcntl(f, F_ADD_SEALS, F_SEAL_GROW), EINVAL);
	CHECK_OK(close(f));
}

static void hints(void)
{
	uint64_t hint = 77;
	int f = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	CHECK_OK(fcntl(f, F_GET_RW_HINT, &hint));
	CHECK_EQ(hint, RWH_WRITE_LIFE_NOT_SET);
	hint = RWH_WRITE_LIFE_LONG;
	CHECK_OK(fcntl(f, F_SET_RW_HINT, &hint));
	hint = 77;
	CHECK_OK(fcntl(f, F_GET_RW_HINT, &hint));
	CHECK_EQ(hint, RWH_WRITE_LIFE_LONG);
	CHECK_ERRNO(fcntl(f, F_SET_RW_HINT, t_bad_pointer(1)), EFAULT);
	hint = 77;
	CHECK_ERRNO(fcntl(f, F_SET_RW_HINT, &hint), EINVAL);
	CHECK_OK(close(f));
}

T_MAIN(CASE(duplicates), CASE(descriptor_flags), CASE(status_flags),
       CASE(unknown), CASE(owner_and_signal), CASE(not_for_all), CASE(hints))
