/* fork(2): open file descriptions are shared, descriptor tables are not. */
#include "t.h"

static int shared_fd;

static void child_reads_on(void *arg)
{
	char got[4];

	(void)arg;
	CHECK_EQ(read(shared_fd, got, 3), 3);
	CHECK_MEM(got, "345", 3);
}

static void one_offset(void)
{
	char got[4];

	t_put(t_at("f"), "0123456789");
	shared_fd = MUST(open(t_at("f"), O_RDWR));
	CHECK_EQ(read(shared_fd, got, 3), 3);
	CHECK_CHILD(child_reads_on, NULL);
	CHECK_EQ(lseek(shared_fd, 0, SEEK_CUR), 6);
	CHECK_EQ(read(shared_fd, got, 3), 3);
	CHECK_MEM(got, "678", 3);
	CHECK_OK(close(shared_fd));
}

static void child_appends(void *arg)
{
	CHECK_EQ(write(shared_fd, arg, 4), 4);
}

static void writers_in_turn(void)
{
	shared_fd = MUST(open(t_at("f"), O_WRONLY | O_CREAT, 0644));
	CHECK_EQ(write(shared_fd, "one ", 4), 4);
	CHECK_CHILD(child_appends, "two ");
	CHECK_EQ(write(shared_fd, "thr ", 4), 4);
	CHECK_CHILD(child_appends, "four");
	CHECK_FILE(t_at("f"), "one two thr four");
	CHECK_OK(close(shared_fd));
}

static void child_sets_flags(void *arg)
{
	(void)arg;
	CHECK_OK(fcntl(shared_fd, F_SETFL, O_APPEND));
	CHECK_OK(fcntl(shared_fd, F_SETFD, FD_CLOEXEC));
	CHECK_EQ(lseek(shared_fd, 0, SEEK_SET), 0);
}

static void status_flags_are_shared(void)
{
	t_put(t_at("f"), "base");
	shared_fd = MUST(open(t_at("f"), O_RDWR));
	CHECK_CHILD(child_sets_flags, NULL);
	CHECK(fcntl(shared_fd, F_GETFL) & O_APPEND);
	CHECK_EQ(fcntl(shared_fd, F_GETFD), 0);
	CHECK_EQ(write(shared_fd, "+", 1), 1);
	CHECK_FILE(t_at("f"), "base+");
	CHECK_OK(close(shared_fd));
}

static void child_closes(void *arg)
{
	(void)arg;
	CHECK_OK(close(shared_fd));
	int fd = MUST(open(t_at("g"), O_RDWR | O_CREAT, 0644));

	CHECK_EQ(fd, shared_fd);
	CHECK_EQ(write(fd, "child", 5), 5);
}

static void numbers_are_not(void)
{
	shared_fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));
	CHECK_CHILD(child_closes, NULL);
	CHECK_EQ(write(shared_fd, "parent", 6), 6);
	CHECK_FILE(t_at("f"), "parent");
	CHECK_FILE(t_at("g"), "child");
	CHECK_OK(close(shared_fd));
}

static void parent_is_gone(void *arg)
{
	(void)arg;
	pid_t pid = MUST(fork());

	if (pid != 0)
		_exit(0);
	/* The grandchild works on with what it inherited. */
	usleep(50000);
	if (write(shared_fd, "orphan", 6) == 6)
		t_put(t_at("done"), "yes");
	_exit(0);
}

static void orphan(void)
{
	shared_fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));
	CHECK_CHILD(parent_is_gone, NULL);
	for (int i = 0; i < 200 && t_size(t_at("done")) != 3; i++)
		usleep(10000);
	CHECK_FILE(t_at("f"), "orphan");
	CHECK_OK(close(shared_fd));
}

static void first_touch(void *arg)
{
	char path[PATH_MAX];

	t_into(path, "from-%ld", (long)arg);
	t_put(path, "x");
	CHECK_FILE(path, "x");
}

static void many_children(void)
{
	pid_t pids[20];

	for (long i = 0; i < 20; i++)
		pids[i] = t_spawn(first_touch, (void *)i);
	for (int i = 0; i < 20; i++)
		CHECK_REAP(pids[i]);
	for (long i = 0; i < 20; i++)
		CHECK(t_exists(t_at("from-%ld", i)));
}

static void generations(void *arg)
{
	long depth = (long)arg;

	CHECK_EQ(write(shared_fd, "x", 1), 1);
	if (depth > 0)
		CHECK_CHILD(generations, (void *)(depth - 1));
	CHECK_EQ(write(shared_fd, "y", 1), 1);
}

static void nested(void)
{
	shared_fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));
	CHECK_CHILD(generations, (void *)9L);
	CHECK_FILE(t_at("f"), "xxxxxxxxxxyyyyyyyyyy");
	CHECK_OK(close(shared_fd));
}

static void concurrent(void *arg)
{
	char record[16];

	memset(record, 'a' + (long)arg, sizeof(record));
	for (int i = 0; i < 100; i++)
		CHECK_EQ(write(shared_fd, record, sizeof(record)), 16);
}

/* Four processes on one description: every record whole, none lost. */
static void concurrent_writers(void)
{
	pid_t pids[4];
	int seen[4] = {0};
	char record[16];

	shared_fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));
	for (long i = 0; i < 4; i++)
		pids[i] = t_spawn(concurrent, (void *)i);
	for (int i = 0; i < 4; i++)
		CHECK_REAP(pids[i]);
	CHECK_EQ(t_size(t_at("f")), 6400);
	CHECK_EQ(lseek(shared_fd, 0, SEEK_SET), 0);
	while (read(shared_fd, record, 16) == 16) {
		for (int i = 1; i < 16; i++)
			CHECK_EQ(record[i], record[0]);
		if (record[0] >= 'a' && record[0] < 'e')
			seen[record[0] - 'a']++;
	}
	for (int i = 0; i < 4; i++)
		CHECK_EQ(seen[i], 100);
	CHECK_OK(close(shared_fd));
}

static void child_unlinks(void *arg)
{
	(void)arg;
	CHECK_OK(unlink(t_at("f")));
}

static void child_renames(void *arg)
{
	(void)arg;
	CHECK_OK(rename(t_at("f"), t_at("g")));
}

static void child_replaces(void *arg)
{
	(void)arg;
	t_put(t_at("new"), "new");
	CHECK_OK(rename(t_at("new"), t_at("f")));
}

static void still_there(int fd, nlink_t links)
{
	struct stat st;
	char got[8];

	CHECK_OK(fstat(fd, &st));
	CHECK_EQ(st.st_nlink, links);
	CHECK_EQ(st.st_size, 4);
	CHECK_EQ(pread(fd, got, 8, 0), 4);
	CHECK_MEM(got, "kept", 4);
	CHECK_EQ(pwrite(fd, "K", 1, 0), 1);
	CHECK_OK(ftruncate(fd, 4));
	CHECK_OK(close(fd));
}

/* What a child does to the name of a file that its parent has open. */
static void name_goes_in_a_child(void)
{
	t_put(t_at("f"), "kept");
	int fd = MUST(open(t_at("f"), O_RDWR));

	CHECK_CHILD(child_unlinks, NULL);
	still_there(fd, 0);
	t_put(t_at("f"), "kept");
	fd = MUST(open(t_at("f"), O_RDWR));
	CHECK_CHILD(child_replaces, NULL);
	still_there(fd, 0);
	CHECK_FILE(t_at("f"), "new");
	t_put(t_at("f"), "kept");
	fd = MUST(open(t_at("f"), O_RDWR));
	CHECK_CHILD(child_renames, NULL);
	still_there(fd, 1);
	CHECK_FILE(t_at("g"), "Kept");
}

static void child_removes_directory(void *arg)
{
	(void)arg;
	CHECK_OK(rmdir(t_at("d")));
}

static void child_replaces_directory(void *arg)
{
	(void)arg;
	CHECK_OK(rmdir(t_at("d")));
	CHECK_OK(mkdir(t_at("d"), 0755));
	t_put(t_at("d/of-child"), "x");
}

/* What the parent remembers of a directory must not outlive it. */
static void directory_goes_in_a_child(void)
{
	struct stat st;

	MUST(mkdir(t_at("d"), 0755));
	CHECK_ERRNO(stat(t_at("d/f"), &st), ENOENT);
	CHECK_CHILD(child_removes_directory, NULL);
	CHECK_ERRNO(open(t_at("d/f"), O_WRONLY | O_CREAT, 0644), ENOENT);
	CHECK_ERRNO(mkdir(t_at("d/e"), 0755), ENOENT);
	CHECK_ERRNO(symlink("x", t_at("d/l")), ENOENT);
	CHECK_ERRNO(rename(t_dir, t_at("d/g")), ENOENT);
	MUST(mkdir(t_at("d"), 0755));
	CHECK_ERRNO(stat(t_at("d/f"), &st), ENOENT);
	CHECK_CHILD(child_replaces_directory, NULL);
	t_put(t_at("d/of-parent"), "y");
	CHECK_FILE(t_at("d/of-child"), "x");
	CHECK_OK(unlink(t_at("d/of-child")));
	CHECK_OK(unlink(t_at("d/of-parent")));
	CHECK_OK(rmdir(t_at("d")));
}

T_MAIN(CASE(name_goes_in_a_child), CASE(directory_goes_in_a_child),
       CASE(one_offset), CASE(writers_in_turn), CASE(status_flags_are_shared),
       CASE(numbers_are_not), CASE(orphan), CASE(many_children), CASE(nested),
       CASE(concurrent_writers))
