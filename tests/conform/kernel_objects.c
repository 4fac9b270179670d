/* Paths handed to what the kernel keeps itself: watches, handles, mounts, quotas, accounts. */
#include <linux/fs.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/quota.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include "t.h"

#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif
#ifndef SYS_file_getattr
#define SYS_file_getattr 468
#endif

static void watches(void)
{
	int in = MUST(inotify_init1(IN_CLOEXEC));

	t_put(t_at("f"), "x");
	if (t_mount()) {
		/* Nobody tells of changes on DAOS: programs poll instead. */
		CHECK_ERRNO(inotify_add_watch(in, t_dir, IN_CREATE), ENOSPC);
		CHECK_ERRNO(inotify_add_watch(in, t_at("f"), IN_MODIFY),
			    ENOSPC);
	} else {
		CHECK_OK(inotify_add_watch(in, t_dir, IN_CREATE));
	}
	CHECK_ERRNO(inotify_add_watch(in, t_at("none"), IN_CREATE), ENOENT);
	CHECK_ERRNO(inotify_add_watch(in, t_bad_pointer(1), IN_CREATE), EFAULT);
	CHECK_OK(close(in));
	int fan = fanotify_init(FAN_CLASS_NOTIF, O_RDONLY);

	if (fan < 0)
		return;
	if (t_mount())
		CHECK_ERRNO(fanotify_mark(fan, FAN_MARK_ADD, FAN_OPEN, AT_FDCWD,
					  t_at("f")),
			    ENODEV);
	else
		CHECK_OK(fanotify_mark(fan, FAN_MARK_ADD, FAN_OPEN, AT_FDCWD,
				       t_at("f")));
	CHECK_OK(close(fan));
}

static void handles(void)
{
	union {
		struct file_handle head;
		char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} h = {.head.handle_bytes = MAX_HANDLE_SZ};
	int mount_id;

	t_put(t_at("f"), "x");
	int dir = MUST(open(t_dir, O_RDONLY));
	int got = name_to_handle_at(dir, "f", &h.head, &mount_id, 0);

	if (t_mount())
		/* No handles, as from many file systems. */
		CHECK(got == -1 && errno == EOPNOTSUPP);
	else if (got == -1)
		CHECK(errno == EOPNOTSUPP);
	CHECK_ERRNO(name_to_handle_at(dir, "none", &h.head, &mount_id, 0),
		    ENOENT);
	got = open_by_handle_at(dir, &h.head, O_RDONLY);
	if (t_mount())
		CHECK(got == -1 && errno == EOPNOTSUPP);
	else if (got >= 0)
		CHECK_OK(close(got));
	CHECK_OK(close(dir));
}

/* Nothing of the kernel's is mounted on, changed to or fed from here. */
static void administration(void)
{
	char *d = t_at("d"), *f = t_at("f");

	MUST(mkdir(d, 0755));
	t_put(f, "no program, no swap space");
	CHECK_ERRNO(umount2(t_at("none"), UMOUNT_NOFOLLOW), ENOENT);
	CHECK_ERRNO2(umount2(d, UMOUNT_NOFOLLOW), t_mount() ? EPERM : EINVAL,
		     EPERM);
	CHECK_ERRNO2(swapon(f, 0), EINVAL, EPERM);
	CHECK_ERRNO2(swapoff(f), EINVAL, EPERM);
	if (t_root())
		CHECK_ERRNO2(acct(d), t_mount() ? EACCES : EISDIR, ENOSYS);
	else
		CHECK_ERRNO2(acct(d), t_mount() ? EACCES : EPERM, ENOSYS);
	CHECK(syscall(SYS_pivot_root, d, d) == -1);
	CHECK(syscall(SYS_quotactl, QCMD(Q_SYNC, USRQUOTA), f, 0, NULL) == -1);
	if (t_mount()) {
		CHECK_ERRNO(mount("none", d, "tmpfs", 0, NULL), EPERM);
		CHECK_ERRNO(chroot(d), EPERM);
		CHECK_ERRNO(syscall(SYS_quotactl, QCMD(Q_GETINFO, USRQUOTA), f,
				    0, NULL),
			    ENOTBLK);
	} else if (!t_root()) {
		CHECK_ERRNO(mount("none", d, "tmpfs", 0, NULL), EPERM);
		CHECK_ERRNO(chroot(d), EPERM);
	}
	CHECK(t_exists(f) && t_exists(d));
}

static void newer_calls(void)
{
	struct {
		unsigned long long v[8];
	} buf = {{0}};
	unsigned long long range[2] = {0, 0};

	t_put(t_at("f"), "x");
	int fd = MUST(open(t_at("f"), O_RDONLY));
	long got = syscall(SYS_cachestat, fd, range, &buf, 0);

	/* No pages in the kernel's cache. */
	CHECK(got == 0 || errno == ENOSYS ||
	      (t_mount() && errno == EOPNOTSUPP));
	got = syscall(SYS_file_getattr, AT_FDCWD, t_at("f"), &buf, 24, 0);
	CHECK(got == 0 || errno == ENOSYS || errno == EOPNOTSUPP);
	CHECK_OK(close(fd));
}

T_MAIN(CASE(watches), CASE(handles), CASE(administration), CASE(newer_calls))
