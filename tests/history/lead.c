/*
 * The leader: orders one worker at a time to do what was drawn, and prints what
 * it answered. It touches nothing of the history itself, and as subreaper waits
 * for all who take part.
 */
#include "history.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE 30000 /* ms */

static int control[WORKERS], depth[WORKERS];
static pid_t pids[WORKERS];

const char *const op_names[OPS] = {
	[OPEN] = "open",
	[OPENDIR] = "opendir",
	[CLOSE] = "close",
	[DUP] = "dup",
	[DUP2] = "dup2",
	[READ] = "read",
	[WRITE] = "write",
	[PREAD] = "pread",
	[PWRITE] = "pwrite",
	[WRITEV] = "writev",
	[LSEEK] = "lseek",
	[FTRUNCATE] = "ftruncate",
	[TRUNCATE] = "truncate",
	[ALLOCATE] = "fallocate",
	[FSTAT] = "fstat",
	[STAT] = "stat",
	[ACCESS] = "access",
	[CHMOD] = "chmod",
	[RENAME] = "rename",
	[RENAME2] = "renameat2",
	[UNLINK] = "unlink",
	[MKDIR] = "mkdir",
	[RMDIR] = "rmdir",
	[LIST] = "list",
	[LISTFD] = "listfd",
	[CHDIR] = "chdir",
	[FCHDIR] = "fchdir",
	[GETCWD] = "getcwd",
	[GETFL] = "getfl",
	[SETFL] = "setfl",
	[MAP] = "map",
	[SYMLINK] = "symlink",
	[READLINK] = "readlink",
	[LOCK] = "lock",
	[GETLOCK] = "getlock",
	[OFDLOCK] = "ofdlock",
	[FLOCK] = "flock",
	[SETXATTR] = "setxattr",
	[GETXATTR] = "getxattr",
	[LISTXATTR] = "listxattr",
	[REMOVEXATTR] = "removexattr",
	[FORK] = "fork",
	[EXEC] = "exec",
	[EXIT] = "exit",
	[BEGET] = "beget",
	[DIE] = "die",
	[QUIT] = "quit",
};

static void print(unsigned int step, int worker, const struct order *order,
		  const struct answer *answer)
{
	printf("%u %c %s slot %d %d offset %ld length %ld flags %o %s%s%s %s: ",
	       step, 'A' + worker, op_names[order->op], order->slot,
	       order->slot2, order->offset, order->length, order->flags,
	       order->from_slot && together ? "@" : "",
	       order->absolute ? "/" : "", order->path, order->path2);
	printf("%ld %s %08x%s\n", answer->value,
	       answer->error ? strerror(answer->error) : "", answer->hash,
	       answer->text);
}

/* HISTORY_KEEP, when set, is a string of a 0 or 1 for every step. */
static bool kept(unsigned int step)
{
	static const char *keep;
	static size_t length;

	if (!keep) {
		keep = getenv("HISTORY_KEEP");
		keep = keep ? keep : "";
		length = strlen(keep);
	}
	return step >= length || keep[step] == '1';
}

static bool ask(int worker, const struct order *order, struct answer *answer)
{
	struct pollfd ready = {.fd = control[worker], .events = POLLIN};

	memset(answer, 0, sizeof(*answer));
	return write(control[worker], order, sizeof(*order)) ==
		       sizeof(*order) &&
	       poll(&ready, 1, PATIENCE) == 1 &&
	       read(control[worker], answer, sizeof(*answer)) ==
		       sizeof(*answer);
}

/* Ends a process at once, or lets it end, and waits until it is no more. */
static void finish(int worker, bool kill_it)
{
	struct order quit = {.op = QUIT};
	int pidfd = syscall(SYS_pidfd_open, pids[worker], 0);
	struct pollfd ready = {.fd = pidfd, .events = POLLIN};

	if (kill_it)
		kill(pids[worker], SIGKILL);
	else if (write(control[worker], &quit, sizeof(quit)) < 0)
		perror("quit");
	if (pidfd >= 0) {
		if (poll(&ready, 1, PATIENCE) != 1)
			kill(pids[worker], SIGKILL);
		close(pidfd);
	}
	waitpid(pids[worker], NULL, WNOHANG);
}

static pid_t start(int worker, const int *theirs)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	me = worker;
	/* Everybody has all sockets, so that one may become another. */
	for (int i = 0; i < workers; i++)
		dup2(theirs[i], CONTROL + i);
	for (int fd = 3; fd < CONTROL; fd++)
		close(fd);
	for (int slot = 0; slot < SLOTS; slot++)
		slots[slot] = -1;
	settle();
	if (chdir(home) != 0)
		_exit(1);
	work();
}

static bool start_all(void)
{
	int theirs[WORKERS];

	for (int i = 0; i < workers; i++) {
		int pair[2];

		if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) != 0)
			return false;
		control[i] = pair[0];
		theirs[i] = pair[1];
	}
	fflush(stdout);
	for (int i = 0; i < workers; i++)
		pids[i] = start(i, theirs);
	for (int i = 0; i < workers; i++)
		close(theirs[i]);
	return true;
}

/* Whether the order makes sense now; what ends a worker happens here. */
static bool may(int worker, struct order *order)
{
	int who = order->slot % workers;

	switch (order->op) {
	case EXIT:
		return depth[worker] > 0;
	case FORK:
		return depth[worker] < 3;
	case BEGET:
	case DIE:
		if (!together || who == worker || depth[who] > 0)
			return false;
		finish(who, order->op == DIE);
		order->op = BEGET;
		return true;
	default:
		return true;
	}
}

static void end_all(void)
{
	struct order leave = {.op = EXIT};
	struct answer answer;

	for (int i = 0; i < workers; i++) {
		for (; depth[i] > 0; depth[i]--)
			ask(i, &leave, &answer);
		finish(i, false);
	}
	while (wait(NULL) > 0 || errno == EINTR)
		;
}

int lead(unsigned long long seed, unsigned int steps)
{
	struct order order;
	struct answer answer;

	seed_with(seed);
	workers = 3 + seed % 2;
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	if (mkdir(top, 0755) != 0 && errno != EEXIST) {
		perror(top);
		return 1;
	}
	for (me = 0; me < workers; me++) {
		settle();
		make_places();
	}
	if (!start_all())
		return 1;
	for (unsigned int step = 0; step < steps; step++) {
		int worker = draw(workers);

		choose(&order, step);
		enum op drawn = order.op;

		if (!kept(step) || !may(worker, &order))
			continue;
		if (!ask(worker, &order, &answer)) {
			printf("%u %c is gone at %s\n", step, 'A' + worker,
			       op_names[drawn]);
			for (int i = 0; i < workers; i++)
				kill(pids[i], SIGKILL);
			return 1;
		}
		if (order.op == FORK)
			depth[worker] += answer.value == 0;
		if (order.op == EXIT)
			depth[worker]--;
		if (order.op == BEGET)
			pids[order.slot % workers] = answer.pid;
		order.op = drawn;
		print(step, worker, &order, &answer);
	}
	end_all();
	return 0;
}
