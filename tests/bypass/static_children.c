/* Static children with our descriptors, our cwd, our standard input. */
#include "t.h"

static const char right[] = "the right bytes";

struct start {
	int fd;
	bool as_stdin, with_cwd;
};

static void child(void *arg)
{
	struct start *start = arg;
	char number[16];
	const char *program = getenv("T_STATIC_CHILD");

	snprintf(number, sizeof(number), "%d", start->fd);
	if (start->as_stdin)
		MUST(dup2(start->fd, 0));
	if (start->with_cwd)
		MUST(chdir(t_dir));
	execl(program, program, number,
	      t_mount() && start->with_cwd ? "lost" : "kernel", (char *)NULL);
	t_fail(T_HERE, "execl %s: %s", program, strerror(errno));
}

static void try(bool as_stdin, bool with_cwd)
{
	struct start start = {-1, as_stdin, with_cwd};

	t_put(t_at("f"), right);
	start.fd = MUST(open(t_at("f"), O_RDWR));
	CHECK_CHILD(child, &start);
	CHECK_FILE(t_at("f"), right);
	CHECK_OK(close(start.fd));
}

static void with_a_descriptor(void)
{
	try(false, false);
}

static void with_standard_input(void)
{
	try(true, false);
}

static void with_the_cwd(void)
{
	try(false, true);
}

T_MAIN(CASE(with_a_descriptor), CASE(with_standard_input), CASE(with_the_cwd))
