/* Running an open file by its name in /proc and by its descriptor. */
#include "t.h"

static void run_it(void *arg)
{
	char *argv[] = {(char *)"x", NULL}, name[64];

	snprintf(name, sizeof(name), "/proc/self/fd/%d", *(int *)arg);
	execve(name, argv, environ);
	_exit(99);
}

static void run_it_by_descriptor(void *arg)
{
	int fd = *(int *)arg;
	char *argv[] = {(char *)"x", NULL};

	fexecve(fd, argv, environ);
	_exit(99);
}

static void status_is(int line, void (*how)(void *), int fd, int want)
{
	int status = 0;
	pid_t pid = t_spawn(how, &fd);

	MUST(waitpid(pid, &status, 0));
	if (!WIFEXITED(status) || WEXITSTATUS(status) != want)
		t_fail(__FILE__, line, "status 0x%x, expected exit %d", status,
		       want);
}

static void running(void)
{
	char buf[65536];
	ssize_t n;
	int in = MUST(open("/bin/true", O_RDONLY));
	int out = MUST(open(t_at("true"), O_WRONLY | O_CREAT, 0755));

	while ((n = MUST(read(in, buf, sizeof(buf)))) > 0)
		CHECK_EQ(write(out, buf, n), n);
	CHECK_OK(close(in));
	CHECK_OK(close(out));
	t_put(t_at("script"), "#!/bin/sh\nexit 7\n");
	MUST(chmod(t_at("script"), 0755));
	int fd = MUST(open(t_at("true"), O_RDONLY));

	status_is(__LINE__, run_it, fd, 0);
	status_is(__LINE__, run_it_by_descriptor, fd, 0);
	CHECK_OK(close(fd));
	fd = MUST(open(t_at("script"), O_RDONLY));
	status_is(__LINE__, run_it, fd, 7);
	status_is(__LINE__, run_it_by_descriptor, fd, 7);
	CHECK_OK(close(fd));
}

T_MAIN(CASE(running))
