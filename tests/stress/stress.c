/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Processes that fork, exec and kill each other at random while they write:
 * stress DIR LEDGER SECONDS SEED. Every record says who wrote it and which of
 * the writer's it is; the ledger, a mapped file of the kernel's, says how many
 * records of a writer were acknowledged. An auditor reads all files meanwhile,
 * and at the end every acknowledged record must be there, once, in order.
 * Prints the counts; exit status 1 with the first findings.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FILES 3	      /* of each kind */
#define SHARED_FD 100 /* descriptors of the files with one common offset */
#define WRITERS 100000
#define CHILDREN 3
#define DEPTH 4

extern char **environ;

/* What one record says of itself; 64 bytes. */
struct record {
	uint32_t writer, number, kind, file;
	char text[44];
	uint32_t sum;
};

enum kind { APPENDED, SHARED, KINDS };

struct ledger {
	_Atomic uint32_t writers, kills, execs, forks, spawns, problems;
	_Atomic uint32_t stop;
	_Atomic uint32_t acknowledged[WRITERS][KINDS * FILES];
};

static struct ledger *ledger;
static const char *self, *dir, *ledger_path;
static uint64_t state;
static uint32_t me;
static int depth;
static int logs[FILES];

static __attribute__((format(printf, 1, 2))) void problem(const char *fmt, ...)
{
	char line[512];
	va_list ap;

	if (ledger->problems++ > 10)
		return;
	va_start(ap, fmt);
	int n = vsnprintf(line, sizeof(line) - 1, fmt, ap);
	va_end(ap);
	line[n] = '\n';
	if (write(2, line, n + 1) < 0)
		_exit(9);
}

static uint32_t any(uint32_t below)
{
	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(state >> 33) % below;
}

static uint32_t checksum(const struct record *r)
{
	uint32_t sum = 2166136261U;

	for (size_t i = 0; i < offsetof(struct record, sum); i++)
		sum = (sum ^ ((const unsigned char *)r)[i]) * 16777619U;
	return sum;
}

static char *path(char *buf, const char *name, unsigned int number)
{
	snprintf(buf, PATH_MAX, "%s/%s%u", dir, name, number);
	return buf;
}

static void begin(void)
{
	me = ledger->writers++;
	if (me >= WRITERS)
		_exit(0);
	state ^= (uint64_t)me * 0x9e3779b97f4a7c15ULL;
	any(2);
}

static void put(enum kind kind, unsigned int file, int fd)
{
	_Atomic uint32_t *count =
		&ledger->acknowledged[me][kind * FILES + file];
	struct record r = {me, *count + 1, kind, file, "", 0};

	memset(r.text, 'a' + me % 26, sizeof(r.text));
	r.sum = checksum(&r);
	ssize_t n = write(fd, &r, sizeof(r));

	if (n == sizeof(r))
		(*count)++;
	else
		problem("write of writer %u: %zd, errno %d", me, n, errno);
}

static void open_logs(void)
{
	char name[PATH_MAX];

	for (unsigned int i = 0; i < FILES; i++) {
		logs[i] = open(path(name, "log", i),
			       O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
		if (logs[i] < 0)
			problem("open of log%u: errno %d", i, errno);
	}
}

/* A file of one's own: written, renamed, read, removed. */
static void own_file(void)
{
	char from[PATH_MAX], to[PATH_MAX], text[4096], got[4096];
	size_t len = 1 + any(sizeof(text));

	memset(text, 'A' + me % 26, sizeof(text));
	int fd = open(path(from, "own", me), O_RDWR | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || write(fd, text, len) != (ssize_t)len)
		problem("own file of %u: errno %d", me, errno);
	if (rename(from, path(to, "moved", me)) != 0)
		problem("rename of own file of %u: errno %d", me, errno);
	if (pread(fd, got, sizeof(got), 0) != (ssize_t)len ||
	    memcmp(got, text, len) != 0)
		problem("own file of %u differs", me);
	if (any(2) && unlink(to) != 0)
		problem("unlink of own file of %u: errno %d", me, errno);
	close(fd);
}

static void work(void);

/* This program again, with nothing but descriptors to go on with; `first` may be vfork. */
static pid_t again(pid_t (*first)(void))
{
	char number[2][24];
	char *argv[] = {
		(char *)self, "@",	 (char *)dir, (char *)ledger_path,
		number[0],    number[1], NULL};
	char *stripped[] = {NULL};
	char **envp = any(3) ? environ : stripped;

	snprintf(number[0], sizeof(number[0]), "%llu",
		 (unsigned long long)state);
	snprintf(number[1], sizeof(number[1]), "%d", depth + 1);
	ledger->execs++;
	pid_t pid = first();

	if (pid == 0) {
		execve(self, argv, envp);
		ledger->problems++;
		_exit(1);
	}
	return pid;
}

static void shell(void)
{
	char command[3 * PATH_MAX], name[PATH_MAX];
	char *argv[] = {"sh", "-c", command, NULL};
	pid_t pid;

	snprintf(command, sizeof(command), "echo $$ >> %s; cat %s > /dev/null",
		 path(name, "shell", 0), name);
	ledger->spawns++;
	if (posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, environ) == 0)
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	else
		problem("posix_spawn: errno %d", errno);
}

static void child(void)
{
	uint32_t how = any(6);
	pid_t pid;

	ledger->forks++;
	if (how < 2)
		pid = again(how ? fork : vfork);
	else if ((pid = fork()) == 0) {
		depth++;
		begin();
		work();
		_exit(0);
	}
	if (pid < 0)
		return;
	if (any(2)) {
		usleep(any(20000));
		kill(pid, SIGKILL);
		ledger->kills++;
	}
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static void work(void)
{
	open_logs();
	for (int i = any(200); i >= 0 && !ledger->stop; i--) {
		uint32_t file = any(FILES), what = any(40);

		if (what < 18)
			put(APPENDED, file, logs[file]);
		else if (what < 34)
			put(SHARED, file, SHARED_FD + file);
		else if (what < 36)
			own_file();
		else if (what == 36)
			shell();
		else if (depth < DEPTH)
			child();
	}
	for (int i = 0; i < FILES; i++)
		close(logs[i]);
}

/* One file's records: whole, each writer's in order, `settled`: none missing. */
static void audit(enum kind kind, unsigned int file, bool settled)
{
	static uint32_t seen[WRITERS];
	static struct record block[512];
	char name[PATH_MAX];
	int fd = open(path(name, kind == APPENDED ? "log" : "off", file),
		      O_RDONLY);
	uint64_t at = 0, holes = 0;
	ssize_t n;

	memset(seen, 0, sizeof(seen));
	while ((n = read(fd, block, sizeof(block))) > 0) {
		if (n % sizeof(struct record) != 0 && settled)
			problem("%s: %zd bytes at its end", name,
				n % sizeof(struct record));
		for (size_t i = 0; i < n / sizeof(struct record); i++, at++) {
			const struct record *r = &block[i];

			if (kind == SHARED && r->sum == 0 && r->number == 0) {
				holes++;
				continue;
			}
			if (r->sum != checksum(r) || r->kind != kind ||
			    r->file != file || r->writer >= WRITERS) {
				problem("%s: record %llu is damaged", name,
					(unsigned long long)at);
				continue;
			}
			/* A hole being filled right now may be passed over by the reader. */
			if (r->number <= seen[r->writer] ||
			    (settled && r->number != seen[r->writer] + 1))
				problem("%s: record %u of writer %u follows %u",
					name, r->number, r->writer,
					seen[r->writer]);
			seen[r->writer] = r->number;
		}
	}
	close(fd);
	if (!settled)
		return;
	if (holes > ledger->kills + 100)
		problem("%s: %llu holes", name, (unsigned long long)holes);
	for (uint32_t w = 0; w < ledger->writers && w < WRITERS; w++) {
		uint32_t want = ledger->acknowledged[w][kind * FILES + file];

		if (seen[w] != want && seen[w] != want + 1)
			problem("%s: writer %u has %u records of %u", name, w,
				seen[w], want);
	}
}

static void audit_all(bool settled)
{
	for (unsigned int i = 0; i < FILES; i++) {
		audit(APPENDED, i, settled);
		audit(SHARED, i, settled);
	}
}

static void map_ledger(bool create)
{
	int fd = open(ledger_path, O_RDWR | O_CLOEXEC | (create ? O_CREAT : 0),
		      0644);

	if (fd < 0 || (create && ftruncate(fd, sizeof(*ledger)) != 0))
		_exit(8);
	ledger = mmap(NULL, sizeof(*ledger), PROT_READ | PROT_WRITE, MAP_SHARED,
		      fd, 0);
	close(fd);
	if (ledger == MAP_FAILED)
		_exit(8);
}

static pid_t group(uint64_t seed)
{
	pid_t pid = fork();

	if (pid == 0) {
		setpgid(0, 0);
		state = seed;
		while (!ledger->stop) {
			begin();
			work();
		}
		_exit(0);
	}
	setpgid(pid, pid);
	return pid;
}

int main(int argc, char **argv)
{
	char name[PATH_MAX];
	pid_t groups[2];

	self = argv[0];
	if (argc < 5)
		return 2;
	if (argv[1][0] == '@') {
		dir = argv[2];
		ledger_path = argv[3];
		state = strtoull(argv[4], NULL, 10);
		depth = atoi(argv[5]);
		map_ledger(false);
		begin();
		work();
		return 0;
	}
	dir = argv[1];
	ledger_path = argv[2];
	time_t end = time(NULL) + atoi(argv[3]);

	map_ledger(true);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (mkdir(dir, 0755) != 0 && errno != EEXIST)
		return 2;
	for (unsigned int i = 0; i < FILES; i++) {
		int fd = open(path(name, "off", i), O_RDWR | O_CREAT, 0644);

		if (dup2(fd, SHARED_FD + i) < 0)
			return 2;
		close(fd);
		close(open(path(name, "log", i), O_WRONLY | O_CREAT, 0644));
	}
	for (int i = 0; i < 2; i++)
		groups[i] = group(strtoull(argv[4], NULL, 10) * 2 + i + 1);
	while (time(NULL) < end && ledger->problems == 0) {
		usleep(200000);
		audit_all(false);
	}
	ledger->stop = 1;
	usleep(100000);
	for (int i = 0; i < 2; i++)
		kill(-groups[i], SIGKILL);
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
	audit_all(true);
	uint64_t records = 0;

	for (uint32_t w = 0; w < ledger->writers && w < WRITERS; w++)
		for (int i = 0; i < KINDS * FILES; i++)
			records += ledger->acknowledged[w][i];
	printf("%u writers, %llu records, %u forks, %u execs, %u shells, %u "
	       "kills, %u problems\n",
	       ledger->writers, (unsigned long long)records, ledger->forks,
	       ledger->execs, ledger->spawns, ledger->kills, ledger->problems);
	return ledger->problems ? 1 : 0;
}
