/* getdents64(2) itself, through syscall(2) and glibc's name, with small buffers. */
#include <dirent.h>
#include <stddef.h>
#include <sys/syscall.h>
#include "t.h"

static int names_with(size_t size, bool wrapper)
{
	char buf[4096] __attribute__((aligned(8)));
	int fd = MUST(open(t_dir, O_RDONLY | O_DIRECTORY)), count = 0;
	long n;

	for (;;) {
		n = wrapper ? getdents64(fd, buf, size)
			    : syscall(SYS_getdents64, fd, buf, size);
		if (n <= 0)
			break;
		for (long at = 0; at < n;) {
			struct dirent64 *entry = (void *)(buf + at);

			CHECK(entry->d_reclen > 0 && entry->d_reclen % 8 == 0);
			CHECK(entry->d_type != DT_UNKNOWN);
			CHECK(strlen(entry->d_name) > 0);
			count++;
			if (!entry->d_reclen)
				return -1;
			at += entry->d_reclen;
		}
	}
	CHECK_EQ(n, 0);
	CHECK_OK(close(fd));
	return count;
}

static void sizes(void)
{
	for (int i = 0; i < 50; i++)
		t_put(t_at("entry-%d", i), "");
	CHECK_EQ(names_with(4096, true), 52);
	CHECK_EQ(names_with(4096, false), 52);
	CHECK_EQ(names_with(64, true), 52);
	CHECK_EQ(names_with(100, false), 52);
}

static void errors(void)
{
	char buf[512] __attribute__((aligned(8)));

	t_put(t_at("a-name-that-does-not-fit"), "");
	t_put(t_at("f"), "");
	int fd = MUST(open(t_dir, O_RDONLY | O_DIRECTORY));

	CHECK_ERRNO(getdents64(fd, buf, 4), EINVAL);
	CHECK_ERRNO(getdents64(-1, buf, sizeof(buf)), EBADF);
	CHECK_ERRNO(getdents64(fd, t_bad_pointer(1), 512), EFAULT);
	CHECK_OK(close(fd));
	fd = MUST(open(t_at("f"), O_RDONLY));
	CHECK_ERRNO(getdents64(fd, buf, sizeof(buf)), ENOTDIR);
	CHECK_OK(close(fd));
}

static void shared_by_dup(void)
{
	char buf[2048] __attribute__((aligned(8)));

	t_put(t_at("f"), "");
	int fd = MUST(open(t_dir, O_RDONLY | O_DIRECTORY)),
	    twin = MUST(dup(fd));

	CHECK(getdents64(fd, buf, sizeof(buf)) > 0);
	CHECK_EQ(getdents64(twin, buf, sizeof(buf)), 0);
	CHECK_EQ(lseek(twin, 0, SEEK_SET), 0);
	CHECK(getdents64(fd, buf, sizeof(buf)) > 0);
	CHECK_OK(close(fd));
	CHECK_OK(close(twin));
}

/* getdents(2), for very old programs: the type is the record's last byte. */
static void of_old(void)
{
#ifdef SYS_getdents
	struct record {
		unsigned long ino, off;
		unsigned short len;
		char name[];
	};
	char buf[1024] __attribute__((aligned(8)));
	int found = 0;

	t_put(t_at("f"), "");
	int fd = MUST(open(t_dir, O_RDONLY | O_DIRECTORY));
	long n = MUST(syscall(SYS_getdents, fd, buf, sizeof(buf)));

	for (long at = 0; at < n;) {
		struct record *r = (void *)(buf + at);

		if (strcmp(r->name, "f") == 0) {
			CHECK_EQ(buf[at + r->len - 1], DT_REG);
			found++;
		}
		at += MUST(r->len ? r->len : -1);
	}
	CHECK_EQ(found, 1);
	CHECK_EQ(syscall(SYS_getdents, fd, buf, sizeof(buf)), 0);
	CHECK_OK(close(fd));
#endif
}

T_MAIN(CASE(sizes), CASE(errors), CASE(shared_by_dup), CASE(of_old))
