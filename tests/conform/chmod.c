/* chmod, fchmod, fchmodat: the twelve bits, by path, descriptor and dirfd. */
#include "t.h"

static void all_ways(void)
{
	t_put(t_at("f"), "x");
	MUST(mkdir(t_at("d"), 0755));
	MUST(symlink("f", t_at("l")));
	CHECK_OK(chmod(t_at("f"), 0600));
	CHECK_EQ(t_mode(t_at("f")), S_IFREG | 0600);
	CHECK_OK(chmod(t_at("f"), 0751));
	CHECK_EQ(t_mode(t_at("f")), S_IFREG | 0751);
	CHECK_OK(chmod(t_at("d"), 0700));
	CHECK_EQ(t_mode(t_at("d")), S_IFDIR | 0700);
	/* Through a link. */
	CHECK_OK(chmod(t_at("l"), 0644));
	CHECK_EQ(t_mode(t_at("f")), S_IFREG | 0644);
	CHECK_EQ(t_mode(t_at("l")), S_IFLNK | 0777);

	int dir = MUST(open(t_dir, O_RDONLY | O_DIRECTORY));
	int fd = MUST(open(t_at("f"), O_RDONLY));

	CHECK_OK(fchmod(fd, 0444));
	CHECK_EQ(t_mode(t_at("f")), S_IFREG | 0444);
	CHECK_OK(fchmodat(dir, "f", 0640, 0));
	CHECK_EQ(t_mode(t_at("f")), S_IFREG | 0640);
	int sub = MUST(open(t_at("d"), O_RDONLY | O_DIRECTORY));

	CHECK_OK(fchmod(sub, 0711));
	CHECK_EQ(t_mode(t_at("d")), S_IFDIR | 0711);
	CHECK_OK(close(sub));
	CHECK_OK(close(fd));
	CHECK_OK(close(dir));
	MUST(chdir(t_dir));
	CHECK_OK(chmod("f", 0600));
	CHECK_EQ(t_mode("f"), S_IFREG | 0600);
}

static void special_bits(void)
{
	t_put(t_at("f"), "x");
	MUST(mkdir(t_at("d"), 0755));
	if (t_mount()) {
		/* libdfs refuses the sticky bit in chmod, keeps it in mkdir. */
		CHECK_ERRNO(chmod(t_at("d"), 01777), EOPNOTSUPP);
		CHECK_EQ(t_mode(t_at("d")), S_IFDIR | 0755);
	} else {
		CHECK_OK(chmod(t_at("d"), 01777));
		CHECK_EQ(t_mode(t_at("d")), S_IFDIR | 01777);
	}
	umask(0);
	CHECK_OK(mkdir(t_at("sticky"), 01777));
	CHECK_EQ(t_mode(t_at("sticky")), S_IFDIR | 01777);
	/* What mkdir -m does after its mkdir. */
	CHECK_OK(chmod(t_at("sticky"), 01777));
	CHECK_EQ(t_mode(t_at("sticky")), S_IFDIR | 01777);
	CHECK_OK(chmod(t_at("sticky"), 0755));
	CHECK_EQ(t_mode(t_at("sticky")), S_IFDIR | 0755);
	CHECK_OK(chmod(t_at("f"), 04755));
	CHECK_EQ(t_mode(t_at("f")), S_IFREG | 04755);
	/* Bits above 07777 are ignored. */
	CHECK_OK(chmod(t_at("f"), S_IFDIR | 0644));
	CHECK_EQ(t_mode(t_at("f")), S_IFREG | 0644);
}

/* Whoever changes a file or its owner takes its set-id bits away; root's writing does not. */
static void set_id_bits_go(void)
{
	mode_t want = S_IFREG | (t_root() ? 06755 : 0755);
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0755));

	CHECK_OK(fchmod(fd, 06755));
	CHECK_EQ(t_mode(t_at("f")), S_IFREG | 06755);
	CHECK_EQ(write(fd, "x", 1), 1);
	CHECK_EQ(t_mode(t_at("f")), want);
	CHECK_OK(fchmod(fd, 06755));
	CHECK_OK(ftruncate(fd, 0));
	CHECK_EQ(t_mode(t_at("f")), want);
	CHECK_OK(fchmod(fd, 06755));
	CHECK_OK(truncate(t_at("f"), 5));
	CHECK_EQ(t_mode(t_at("f")), want);
	CHECK_OK(fchmod(fd, 06755));
	CHECK_OK(close(open(t_at("f"), O_WRONLY | O_TRUNC)));
	CHECK_EQ(t_mode(t_at("f")), want);
	CHECK_OK(fchmod(fd, 06755));
	CHECK_EQ(pwrite(fd, "x", 1, 3), 1);
	CHECK_EQ(t_mode(t_at("f")), want);
	/* A change of owner does, whoever makes it. */
	CHECK_OK(fchmod(fd, 06755));
	CHECK_OK(fchown(fd, geteuid(), getegid()));
	CHECK_EQ(t_mode(t_at("f")), S_IFREG | 0755);
	/* Without execution by the group the second bit means something else. */
	CHECK_OK(fchmod(fd, 06745));
	CHECK_OK(fchown(fd, geteuid(), getegid()));
	CHECK_EQ(t_mode(t_at("f")), S_IFREG | 02745);
	CHECK_OK(close(fd));
}

static void open_file_keeps_its_rights(void)
{
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	CHECK_OK(fchmod(fd, 0));
	CHECK_EQ(write(fd, "still", 5), 5);
	CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
	char got[5];

	CHECK_EQ(read(fd, got, 5), 5);
	CHECK_OK(close(fd));
}

static void errors(void)
{
	t_put(t_at("f"), "x");
	CHECK_ERRNO(chmod(t_at("none"), 0644), ENOENT);
	CHECK_ERRNO(chmod(t_at("f/x"), 0644), ENOTDIR);
	CHECK_ERRNO(fchmod(-1, 0644), EBADF);
	CHECK_ERRNO(fchmodat(-1, "f", 0644, 0), EBADF);
	CHECK_ERRNO(fchmodat(AT_FDCWD, t_at("f"), 0644, 0x40000000), EINVAL);
	CHECK_ERRNO(chmod(t_bad_pointer(0), 0644), EFAULT);
	int fd = MUST(open(t_at("f"), O_RDONLY));

	CHECK_ERRNO(fchmodat(fd, "x", 0644, 0), ENOTDIR);
	CHECK_OK(close(fd));
	/* The mode of a link cannot change. */
	MUST(symlink("f", t_at("l")));
	CHECK_ERRNO2(fchmodat(AT_FDCWD, t_at("l"), 0600, AT_SYMLINK_NOFOLLOW),
		     EOPNOTSUPP, EINVAL);
}

static void keeps_size_and_mtime(void)
{
	struct stat before, after;

	t_put(t_at("f"), "12345");
	MUST(stat(t_at("f"), &before));
	usleep(20000);
	CHECK_OK(chmod(t_at("f"), 0600));
	MUST(stat(t_at("f"), &after));
	CHECK_EQ(after.st_size, 5);
	CHECK_EQ(after.st_mtim.tv_sec, before.st_mtim.tv_sec);
	CHECK_EQ(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
	CHECK(after.st_ctim.tv_sec != before.st_ctim.tv_sec ||
	      after.st_ctim.tv_nsec != before.st_ctim.tv_nsec);
}

T_MAIN(CASE(all_ways), CASE(special_bits), CASE(set_id_bits_go),
       CASE(open_file_keeps_its_rights), CASE(errors),
       CASE(keeps_size_and_mtime))
