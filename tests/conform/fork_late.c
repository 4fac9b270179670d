/* A child of fork(2) whose first use of its parent's files comes late, by another way, or never. */
#include "t.h"
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <sys/syscall.h>

static int shared_fd;

/* A file of ten digits, read up to the third. */
static void digits(void)
{
	char got[4];

	t_put(t_at("f"), "0123456789");
	shared_fd = MUST(open(t_at("f"), O_RDWR));
	CHECK_EQ(read(shared_fd, got, 3), 3);
}

static void wait_for(pid_t pid)
{
	int status = -1;

	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
}

static void read_on(int fd, const char *want)
{
	char got[16] = "";

	CHECK_EQ(read(fd, got, strlen(want)), strlen(want));
	CHECK_STR(got, want);
}

/* Things that end at once. */
static void ends(void *arg)
{
	(void)arg;
}

static void never(void)
{
	digits();
	for (int i = 0; i < 20; i++)
		CHECK_CHILD(ends, NULL);
	read_on(shared_fd, "345");
	CHECK_OK(close(shared_fd));
}

/* The last descriptor of a file without a name is that of a child which never used it. */
static void keeps_nameless(void *arg)
{
	int *ends_of_pipe = arg;
	char c;

	close(ends_of_pipe[1]);
	CHECK_EQ(read(ends_of_pipe[0], &c, 1), 0);
}

static void nameless(void)
{
	int ends_of_pipe[2];
	pid_t pid;

	digits();
	CHECK_OK(unlink(t_at("f")));
	MUST(pipe(ends_of_pipe));
	pid = t_spawn(keeps_nameless, ends_of_pipe);
	CHECK_OK(close(shared_fd));
	close(ends_of_pipe[0]);
	close(ends_of_pipe[1]);
	CHECK_REAP(pid);
	CHECK(!t_exists(t_at("f")));
	CHECK_OK(rmdir(t_dir));
}

/* The child does nothing itself; what it starts does. */
static void by_system(void *arg)
{
	char command[PATH_MAX + 40];

	(void)arg;
	snprintf(command, sizeof(command), "head -c 3 <&%d >> '%s'", shared_fd,
		 t_at("out"));
	CHECK_EQ(system(command), 0);
}

static void by_popen(void *arg)
{
	char command[60], got[8] = "";
	FILE *p;

	(void)arg;
	snprintf(command, sizeof(command), "dd bs=3 count=1 status=none <&%d",
		 shared_fd);
	p = MUST_PTR(popen(command, "r"));
	CHECK_EQ(fread(got, 1, 3, p), 3);
	CHECK_STR(got, "345");
	while (fread(got, 1, sizeof(got), p) > 0)
		;
	CHECK_EQ(pclose(p), 0);
}

extern char **environ;

static void by_spawn(void *arg)
{
	char *const argv[] = {"dd", "bs=3", "count=1", "status=none", NULL};
	posix_spawn_file_actions_t actions;
	pid_t pid;

	(void)arg;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, shared_fd, 0);
	posix_spawn_file_actions_addopen(&actions, 1, t_at("out"),
					 O_WRONLY | O_CREAT, 0644);
	CHECK_EQ(posix_spawnp(&pid, "dd", &actions, NULL, argv, environ), 0);
	wait_for(pid);
}

static int clone_child(void *arg)
{
	int out;

	(void)arg;
	if (dup2(shared_fd, 0) != 0 ||
	    (out = open(t_at("out"), O_WRONLY | O_CREAT, 0644)) < 0)
		return 1;
	if (dup2(out, 1) != 1)
		return 2;
	execlp("dd", "dd", "bs=3", "count=1", "status=none", (char *)NULL);
	return 3;
}

static void by_clone(void *arg)
{
	static char stack[256 << 10] __attribute__((aligned(64)));
	pid_t pid = clone(clone_child, stack + sizeof(stack),
			  CLONE_VM | CLONE_VFORK | SIGCHLD, NULL);

	(void)arg;
	wait_for(pid);
}

static void by_exec(void *arg)
{
	(void)arg;
	dup2(shared_fd, 0);
	dup2(MUST(open(t_at("out"), O_WRONLY | O_CREAT, 0644)), 1);
	execlp("dd", "dd", "bs=3", "count=1", "status=none", (char *)NULL);
	_exit(1);
}

static void by_fork(void *arg)
{
	pid_t pid = MUST(fork());

	(void)arg;
	if (pid == 0) {
		read_on(shared_fd, "345");
		_exit(t_failures != 0);
	}
	wait_for(pid);
	read_on(shared_fd, "678");
	CHECK_EQ(lseek(shared_fd, 6, SEEK_SET), 6);
}

static void by_raw_clone(void *arg)
{
	pid_t pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

	(void)arg;
	if (pid == 0) {
		read_on(shared_fd, "345");
		_exit(t_failures != 0);
	}
	wait_for(pid);
	read_on(shared_fd, "678");
	CHECK_EQ(lseek(shared_fd, 6, SEEK_SET), 6);
}

static void each_way(void (*way)(void *), const char *out)
{
	digits();
	CHECK_CHILD(way, NULL);
	if (out)
		CHECK_FILE(t_at("out"), out);
	/* head may have read more than it wrote, as from any file */
	if (way != by_system)
		CHECK_EQ(lseek(shared_fd, 0, SEEK_CUR), 6);
	CHECK_OK(lseek(shared_fd, 6, SEEK_SET));
	read_on(shared_fd, "678");
	CHECK_OK(close(shared_fd));
}

static void through_system(void)
{
	each_way(by_system, "345");
}

static void through_popen(void)
{
	each_way(by_popen, NULL);
}

static void through_spawn(void)
{
	each_way(by_spawn, "345");
}

static void through_clone(void)
{
	each_way(by_clone, "345");
}

static void through_exec(void)
{
	each_way(by_exec, "345");
}

static void through_fork(void)
{
	each_way(by_fork, NULL);
}

static void through_raw_clone(void)
{
	each_way(by_raw_clone, NULL);
}

static void *reads(void *arg)
{
	pthread_barrier_t *gate = arg;
	char got[4] = "";

	pthread_barrier_wait(gate);
	CHECK_EQ(pread(shared_fd, got, 3, 5), 3);
	CHECK_STR(got, "567");
	return NULL;
}

static void threads_first(void *arg)
{
	pthread_barrier_t gate;
	pthread_t threads[4];

	(void)arg;
	pthread_barrier_init(&gate, NULL, 4);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, reads, &gate), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
}

static void by_threads(void)
{
	digits();
	for (int i = 0; i < 10; i++)
		CHECK_CHILD(threads_first, NULL);
	read_on(shared_fd, "345");
	CHECK_OK(close(shared_fd));
}

/* The parent has files open, the child many others before it looks at them. */
static void fills(void *arg)
{
	int fds[700], count = 0;

	(void)arg;
	while (count < 700 && (fds[count] = open("/dev/null", O_RDONLY)) >= 0)
		count++;
	while (count-- > 0) {
		CHECK_EQ(fcntl(fds[count], F_GETFD), 0);
		CHECK_OK(close(fds[count]));
	}
	read_on(shared_fd, "345");
}

static void many_numbers(void)
{
	digits();
	CHECK_CHILD(fills, NULL);
	read_on(shared_fd, "678");
	CHECK_OK(close(shared_fd));
}

/* What the parent opens and removes after the fork is nothing to an idle child, and the other way. */
static void waits(void *arg)
{
	int *ends_of_pipe = arg;
	char c;

	close(ends_of_pipe[1]);
	CHECK_EQ(read(ends_of_pipe[0], &c, 1), 0);
	read_on(shared_fd, "345");
	CHECK(!t_exists(t_at("f")));
	CHECK_FILE(t_at("g"), "new");
}

static void parent_goes_on(void)
{
	int ends_of_pipe[2], fd;
	pid_t pid;

	digits();
	MUST(pipe(ends_of_pipe));
	pid = t_spawn(waits, ends_of_pipe);
	CHECK_OK(close(shared_fd));
	CHECK_OK(unlink(t_at("f")));
	fd = MUST(open(t_at("g"), O_RDWR | O_CREAT, 0644));
	CHECK_EQ(write(fd, "new", 3), 3);
	CHECK_OK(close(fd));
	close(ends_of_pipe[0]);
	close(ends_of_pipe[1]);
	CHECK_REAP(pid);
}

T_MAIN(CASE(never), CASE(nameless), CASE(through_system), CASE(through_popen),
       CASE(through_spawn), CASE(through_clone), CASE(through_exec),
       CASE(through_fork), CASE(through_raw_clone), CASE(by_threads),
       CASE(many_numbers), CASE(parent_goes_on))
