/* Signals over file calls: handlers that write files, jumps out of handlers. */
#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/time.h>
#include "t.h"

static volatile sig_atomic_t ticks, bad;
static int log_fd;

static void storm(int usec, void (*handler)(int), int flags)
{
	struct sigaction act = {.sa_handler = handler, .sa_flags = flags};
	struct itimerval timer = {.it_interval = {0, usec},
				  .it_value = {0, usec}};

	ticks = bad = 0;
	MUST(sigaction(SIGALRM, &act, NULL));
	MUST(setitimer(ITIMER_REAL, &timer, NULL));
}

static void calm(void)
{
	struct itimerval off = {{0, 0}, {0, 0}};

	MUST(setitimer(ITIMER_REAL, &off, NULL));
	signal(SIGALRM, SIG_IGN);
}

static void writes_a_record(int sig)
{
	int saved = errno;

	(void)sig;
	ticks++;
	if (write(log_fd, "0123456789abcdef", 16) != 16)
		bad++;
	errno = saved;
}

/* A regular file's calls are never interrupted and never short. */
static void handler_writes_a_file(void)
{
	char record[64], got[64];
	long rounds = 0;

	log_fd = MUST(open(t_at("log"), O_RDWR | O_CREAT | O_APPEND, 0644));
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	storm(2000, writes_a_record, 0);
	while (ticks < 100) {
		t_fill(record, 64, rounds * 64, 1);
		CHECK_EQ(pwrite(fd, record, 64, (rounds % 100) * 64), 64);
		CHECK_EQ(pread(fd, got, 64, (rounds % 100) * 64), 64);
		CHECK_MEM(got, record, 64);
		struct stat st;

		CHECK_OK(stat(t_at("f"), &st));
		FILE *s = fopen(t_at("s"), "w");

		CHECK(s != NULL);
		if (s) {
			fprintf(s, "round %ld", rounds);
			CHECK_EQ(fclose(s), 0);
		}
		rounds++;
		if (t_failures > 20)
			break;
	}
	calm();
	CHECK_EQ(bad, 0);
	CHECK_EQ(t_size(t_at("log")), ticks * 16);
	CHECK_OK(close(fd));
	CHECK_OK(close(log_fd));
}

static sigjmp_buf out;
static volatile sig_atomic_t armed;

static void jumps(int sig)
{
	(void)sig;
	ticks++;
	if (armed) {
		armed = 0;
		siglongjmp(out, 1);
	}
}

/* Leaving a handler by a jump must not leave anything behind. */
static void jumping_out(void)
{
	char c;

	t_put(t_at("f"), "x");
	storm(2000, jumps, 0);
	for (volatile int i = 0; i < 100; i++) {
		if (sigsetjmp(out, 1) == 0) {
			armed = 1;
			for (;;) {
				int fd = open(t_at("f"), O_RDWR);

				if (fd >= 0) {
					pwrite(fd, "x", 1, 0) == 1 ? 0 : bad++;
					close(fd);
				}
			}
		}
		/* After each jump the next calls still find the file. */
		int fd = open(t_at("f"), O_RDONLY);

		CHECK_OK(fd);
		CHECK_EQ(pread(fd, &c, 1, 0), 1);
		CHECK_OK(close(fd));
		CHECK_OK(access(t_at("f"), R_OK));
		if (t_failures > 20)
			break;
	}
	calm();
	CHECK_EQ(bad, 0);
	for (int fd = 3; fd < 1000; fd++) /* those that a jump left open */
		close(fd);
	CHECK_FILE(t_at("f"), "x");
}

static void opens_files(int sig)
{
	int saved = errno;
	char path[PATH_MAX];

	(void)sig;
	ticks++;
	t_into(path, "h%d", (int)ticks % 10);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (fd < 0 || write(fd, path, 5) != 5 || close(fd) != 0)
		bad++;
	errno = saved;
}

static void handler_opens_files(void)
{
	int count;

	storm(2000, opens_files, SA_RESTART);
	for (int i = 0; ticks < 100 && i < 100000; i++) {
		DIR *dir = opendir(t_dir);

		CHECK(dir != NULL);
		if (!dir)
			break;
		for (count = 0; readdir(dir); count++)
			;
		CHECK(count >= 2 && count <= 12);
		CHECK_OK(closedir(dir));
	}
	calm();
	CHECK_EQ(bad, 0);
}

static siginfo_t seen;

static void looks(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	seen = *info;
	if (!context)
		bad++;
	ticks++;
}

static void details_are_kept(void)
{
	struct sigaction act = {.sa_sigaction = looks, .sa_flags = SA_SIGINFO};
	struct sigaction old;
	union sigval value = {.sival_int = 4711};

	ticks = bad = 0;
	MUST(sigaction(SIGUSR1, &act, NULL));
	CHECK_OK(sigaction(SIGUSR1, NULL, &old));
	CHECK(old.sa_sigaction == looks);
	CHECK_EQ(old.sa_flags & SA_SIGINFO, SA_SIGINFO);
	t_put(t_at("f"), "x");
	CHECK_OK(sigqueue(getpid(), SIGUSR1, value));
	CHECK_EQ(ticks, 1);
	CHECK_EQ(seen.si_code, SI_QUEUE);
	CHECK_EQ(seen.si_value.sival_int, 4711);
	CHECK_EQ(seen.si_pid, getpid());
	CHECK(signal(SIGUSR1, SIG_DFL) != SIG_ERR);
	CHECK_EQ(bad, 0);
}

static void faults(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	seen = *info;
	siglongjmp(out, 1);
}

/* Synchronous faults of the program's own go to its handler at once. */
static void own_faults(void)
{
	struct sigaction act = {.sa_sigaction = faults, .sa_flags = SA_SIGINFO};

	MUST(sigaction(SIGSEGV, &act, NULL));
	for (int i = 0; i < 3; i++) {
		t_put(t_at("f"), "x");
		if (sigsetjmp(out, 1) == 0) {
			*(volatile char *)t_bad_pointer(1) = 1;
			CHECK(!"reached");
		}
		CHECK(seen.si_addr == t_bad_pointer(1));
		CHECK_FILE(t_at("f"), "x");
	}
	signal(SIGSEGV, SIG_DFL);
}

static void child_ends(int sig)
{
	(void)sig;
	ticks++;
	if (waitpid(-1, NULL, WNOHANG) < 0 && errno != ECHILD)
		bad++;
	if (write(log_fd, "c", 1) != 1)
		bad++;
}

static void exits_at_once(void *arg)
{
	(void)arg;
}

static void children_end_during_calls(void)
{
	struct sigaction act = {.sa_handler = child_ends,
				.sa_flags = SA_RESTART};

	log_fd = MUST(open(t_at("log"), O_RDWR | O_CREAT | O_APPEND, 0644));
	ticks = bad = 0;
	MUST(sigaction(SIGCHLD, &act, NULL));
	for (int i = 0; i < 20; i++) {
		t_spawn(exits_at_once, NULL);
		for (int j = 0; j < 20; j++)
			t_put(t_at("f"), "busy");
	}
	for (int i = 0; i < 100 && ticks < 1; i++)
		usleep(1000);
	signal(SIGCHLD, SIG_DFL);
	CHECK(ticks > 0);
	CHECK_EQ(bad, 0);
	CHECK_EQ(t_size(t_at("log")), ticks);
	while (waitpid(-1, NULL, 0) > 0)
		;
	CHECK_OK(close(log_fd));
}

/* A handler while a call that is not a file's blocks: its file calls work. */
static void during_a_blocked_read(void)
{
	int pair[2];
	char c;

	log_fd = MUST(open(t_at("log"), O_RDWR | O_CREAT | O_APPEND, 0644));
	MUST(pipe(pair));
	storm(5000, writes_a_record, 0);
	CHECK_ERRNO(read(pair[0], &c, 1), EINTR);
	CHECK(ticks >= 1);
	calm();
	CHECK_EQ(bad, 0);
	CHECK_EQ(t_size(t_at("log")), ticks * 16);
	CHECK_OK(close(pair[0]));
	CHECK_OK(close(pair[1]));
	CHECK_OK(close(log_fd));
}

static void *alternate(void *arg)
{
	/* On a small alternate stack. */
	stack_t stack = {.ss_sp = malloc(8192), .ss_size = 8192};

	MUST(sigaltstack(&stack, NULL));
	ticks = bad = 0;
	struct sigaction act = {.sa_handler = writes_a_record,
				.sa_flags = SA_ONSTACK};

	MUST(sigaction(SIGUSR2, &act, NULL));
	for (int i = 0; i < 20; i++)
		pthread_kill(pthread_self(), SIGUSR2);
	stack.ss_flags = SS_DISABLE;
	sigaltstack(&stack, NULL);
	free(stack.ss_sp);
	return arg;
}

static void on_an_alternate_stack(void)
{
	pthread_t thread;

	log_fd = MUST(open(t_at("log"), O_RDWR | O_CREAT | O_APPEND, 0644));
	CHECK_ERR(pthread_create(&thread, NULL, alternate, NULL), 0);
	CHECK_ERR(pthread_join(thread, NULL), 0);
	CHECK_EQ(ticks, 20);
	CHECK_EQ(bad, 0);
	CHECK_EQ(t_size(t_at("log")), 320);
	CHECK_OK(close(log_fd));
}

T_MAIN(CASE(handler_writes_a_file), CASE(jumping_out),
       CASE(handler_opens_files), CASE(details_are_kept), CASE(own_faults),
       CASE(children_end_during_calls), CASE(during_a_blocked_read),
       CASE(on_an_alternate_stack))
