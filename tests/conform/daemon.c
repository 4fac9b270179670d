/* daemon(3) and double forks: work goes on when the first process is gone. */
#include "t.h"

static void turns_daemon(void *arg)
{
	int fd = MUST(open(t_at("log"), O_WRONLY | O_CREAT | O_APPEND, 0644));

	(void)arg;
	MUST(chdir(t_dir));
	if (daemon(1, 0) != 0)
		_exit(1);
	if (write(fd, "daemon", 6) != 6)
		_exit(1);
	t_put("relative", "cwd kept");
	t_put(t_at("done"), "yes");
	_exit(0);
}

static void stays_here(void)
{
	CHECK_CHILD(turns_daemon, NULL);
	for (int i = 0; i < 500 && t_size(t_at("done")) != 3; i++)
		usleep(10000);
	CHECK_FILE(t_at("log"), "daemon");
	CHECK_FILE(t_at("relative"), "cwd kept");
}

T_MAIN(CASE(stays_here))
