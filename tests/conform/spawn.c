/* vfork, posix_spawn with file actions, clone: children that share for a while. */
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include "t.h"

static void wait_for(pid_t pid)
{
	CHECK_REAP(pid);
}

static void vfork_and_exec(void)
{
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	for (int i = 0; i < 3; i++) {
		pid_t pid = vfork();

		if (pid == 0) {
			/* The same redirection a shell would make. */
			dup2(fd, 1);
			execl("/bin/echo", "echo", "vfork", (char *)NULL);
			_exit(127);
		}
		CHECK(pid > 0);
		wait_for(pid);
	}
	CHECK_FILE(t_at("f"), "vfork\nvfork\nvfork\n");
	/* Nothing of the child's redirection is left in the parent. */
	CHECK(fcntl(fd, F_GETFD) == 0);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 18);
	CHECK_OK(close(fd));
}

static void vfork_and_exit(void)
{
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));
	pid_t pid = vfork();

	if (pid == 0) {
		close(fd);
		_exit(0);
	}
	wait_for(pid);
	CHECK_EQ(write(fd, "mine", 4), 4);
	CHECK_FILE(t_at("f"), "mine");
	CHECK_OK(close(fd));
}

static void vfork_failed_exec(void)
{
	pid_t pid = vfork();

	if (pid == 0) {
		execl("/nonexistent/program", "x", (char *)NULL);
		_exit(0);
	}
	wait_for(pid);
	t_put(t_at("f"), "fine");
	CHECK_FILE(t_at("f"), "fine");
}

static void file_actions(void)
{
	posix_spawn_file_actions_t actions;
	char *argv[] = {"sh", "-c", "cat; echo err >&2", NULL};
	pid_t pid;

	t_put(t_at("in"), "input\n");
	int log = MUST(open(t_at("log"), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));

	CHECK_ERR(posix_spawn_file_actions_init(&actions), 0);
	CHECK_ERR(posix_spawn_file_actions_addopen(&actions, 0, t_at("in"),
						   O_RDONLY, 0),
		  0);
	CHECK_ERR(posix_spawn_file_actions_addopen(&actions, 1, t_at("out"),
						   O_WRONLY | O_CREAT | O_TRUNC,
						   0640),
		  0);
	CHECK_ERR(posix_spawn_file_actions_adddup2(&actions, log, 2), 0);
	CHECK_ERR(posix_spawn_file_actions_addclose(&actions, log), 0);
	CHECK_ERR(posix_spawn(&pid, "/bin/sh", &actions, NULL, argv, environ),
		  0);
	wait_for(pid);
	CHECK_FILE(t_at("out"), "input\n");
	CHECK_FILE(t_at("log"), "err\n");
	CHECK_EQ(t_mode(t_at("out")), S_IFREG | 0640);
	CHECK_ERR(posix_spawn_file_actions_destroy(&actions), 0);
	CHECK_OK(close(log));
}

static void directory_action(void)
{
	posix_spawn_file_actions_t actions;
	char *argv[] = {"sh", "-c", "echo here > f; pwd > g", NULL};
	char want[PATH_MAX + 2];
	pid_t pid;

	CHECK_ERR(posix_spawn_file_actions_init(&actions), 0);
	CHECK_ERR(posix_spawn_file_actions_addchdir_np(&actions, t_dir), 0);
	CHECK_ERR(posix_spawnp(&pid, "sh", &actions, NULL, argv, environ), 0);
	wait_for(pid);
	CHECK_FILE(t_at("f"), "here\n");
	snprintf(want, sizeof(want), "%s\n", t_dir);
	CHECK_FILE(t_at("g"), want);
	posix_spawn_file_actions_destroy(&actions);
}

static void failing_actions(void)
{
	posix_spawn_file_actions_t actions;
	char *argv[] = {"true", NULL};
	pid_t pid;

	CHECK_ERR(posix_spawn_file_actions_init(&actions), 0);
	CHECK_ERR(posix_spawn_file_actions_addopen(&actions, 1, t_at("none/x"),
						   O_WRONLY, 0),
		  0);
	CHECK_ERR(posix_spawn(&pid, "/bin/true", &actions, NULL, argv, environ),
		  ENOENT);
	posix_spawn_file_actions_destroy(&actions);
	CHECK_ERR(posix_spawn(&pid, "/nonexistent", NULL, NULL, argv, environ),
		  ENOENT);
}

static void inherited(void)
{
	char script[64];
	char *argv[] = {"sh", "-c", script, NULL};
	pid_t pid;
	int fd = MUST(open(t_at("f"), O_WRONLY | O_CREAT, 0644));

	snprintf(script, sizeof(script), "echo spawned >&%d", fd);
	if (fd > 9)
		SKIP_CASE("the shell takes one digit only");
	CHECK_ERR(posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, environ), 0);
	wait_for(pid);
	CHECK_EQ(write(fd, "parent\n", 7), 7);
	CHECK_FILE(t_at("f"), "spawned\nparent\n");
	CHECK_OK(close(fd));
}

/* fork without libc's handlers, as some run-times do. */
static void raw_fork(void)
{
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));
	pid_t pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

	if (pid == 0) {
		ssize_t n = write(fd, "raw", 3);

		_exit(n == 3 ? 0 : 1);
	}
	wait_for(pid);
	CHECK_EQ(write(fd, " parent", 7), 7);
	CHECK_FILE(t_at("f"), "raw parent");
	CHECK_OK(close(fd));
}

T_MAIN(CASE(vfork_and_exec), CASE(vfork_and_exit), CASE(vfork_failed_exec),
       CASE(file_actions), CASE(directory_action), CASE(failing_actions),
       CASE(inherited), CASE(raw_fork))
