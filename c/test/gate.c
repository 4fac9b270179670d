// SPDX-License-Identifier: BSD-2-Clause-Patent
/* Sites and exports: who answers, with which arguments, and what stays untouched. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "arch.h"
#include "stub.h"

struct registers {
	uint8_t zmm[32][64];
	uint64_t k[8];
	uint64_t general[8];
	uint32_t mxcsr;
	uint16_t cw;
};

long site_registers(const struct registers *in, struct registers *out, long nr, long fd);

static void who_answers(void)
{
	char buf[16];

	/* the kernel's descriptor, the kernel's number, an unknown number */
	CHECK(site(SYS_getpid, 0, 0, 0, 0, 0, 0) == getpid());
	CHECK(site(SYS_lseek, 12345, 0, 0, 0, 0, 0) == -EBADF);
	CHECK(site(4000, 0, 0, 0, 0, 0, 0) == -ENOSYS);
	CHECK(stub.calls == 0);
	/* ours */
	stub.answer = 42;
	CHECK(site(SYS_read, OURS, (long)buf, 16, 0, 0, 0) == 42);
	CHECK(stub.calls == 1 && stub.op == PIL_OP_read && stub.args[2] == 16);
	CHECK(stub.depth == 1 && pil_depth() == 0);
	/* hidden looks closed, and nobody is asked */
	CHECK(site(SYS_read, HIDDEN, (long)buf, 16, 0, 0, 0) == -EBADF);
	CHECK(site(SYS_close, HIDDEN, 0, 0, 0, 0, 0) == -EBADF);
	CHECK(stub.calls == 1);
	/* ... unless it is to be replaced */
	CHECK(site(SYS_dup2, 0, HIDDEN, 0, 0, 0, 0) == 42 && stub.op == PIL_OP_dup2);
	/* dispatch hands back */
	stub.answer = PIL_NOT_OURS;
	CHECK(site(SYS_access, (long)"/pil/../etc", F_OK, 0, 0, 0, 0) == -ENOENT);
	CHECK(stub.op == PIL_OP_faccessat2 && stub.args[0] == AT_FDCWD);
	/* at depth > 0 everything is the kernel's ... */
	pil_tls.depth = pil_tls.held = 1;
	CHECK(site(SYS_lseek, OURS, 0, 0, 0, 0, 0) == -EBADF);
	/* ... but for a depth that somebody left behind */
	pil_tls.held = 0;
	stub.answer = 3;
	CHECK(site(SYS_lseek, OURS, 0, 0, 0, 0, 0) == 3 && pil_depth() == 0);
}

static void lowered(void)
{
	struct stat st;

	stub.answer = 0;
	CHECK(site(SYS_fstat, OURS, (long)&st, 0, 0, 0, 0) == 0);
	CHECK(stub.op == PIL_OP_statat && stub.args[0] == OURS && *(char *)stub.args[1] == 0 &&
	      stub.args[2] == (long)&st && stub.args[3] == AT_EMPTY_PATH);
	CHECK(lstat("/pil/x", &st) == 0);
	CHECK(stub.op == PIL_OP_statat && stub.args[0] == AT_FDCWD &&
	      stub.args[3] == AT_SYMLINK_NOFOLLOW);
	CHECK(open("/pil/x", O_CREAT | O_EXCL, 0640) == 0);
	CHECK(stub.op == PIL_OP_openat && stub.args[2] == (O_CREAT | O_EXCL) &&
	      stub.args[3] == 0640);
	CHECK(rmdir("/pil/d") == 0 && stub.op == PIL_OP_unlinkat && stub.args[2] == AT_REMOVEDIR);
	CHECK(syscall(SYS_mkdir, "/pil/d", 0755) == 0 && stub.op == PIL_OP_mkdirat);
	stub.answer = -ENOSPC;
	errno = 0;
	CHECK(syscall(SYS_ftruncate, OURS, 7L) == -1 && errno == ENOSPC);
	CHECK(posix_fallocate(OURS, 0, 10) == ENOSPC && stub.op == PIL_OP_fallocate);
	CHECK(stub.args[1] == 0 && stub.args[3] == 10);
	stub.answer = 3;
	errno = 5;
	CHECK(write(OURS, "abc", 3) == 3 && errno == 5);
}

static void paths(void)
{
	static const struct {
		const char *path;
		bool ours;
	} table[] = {
		{ "/pil", true }, { "/pil/", true }, { "/pil/a/b", true }, { "/pilot", false },
		{ "/pi", false }, { "/", false }, { "", false }, { "pil", false },
		{ "//pil", true }, { "/./pil/x", true }, { "/a/../pil/x", true },
		{ "/a/b/../../pil", true }, { "/pil/../etc", true }, { "/../pil", true },
		{ "/a/../b/pil", false }, { "/.pil", false }, { "/etc/./passwd", false },
		{ "/usr/lib/gcc/x/12/../../../y", false }, { "/mnt/deep/down/x", true },
		{ "/mnt//deep/./down", true }, { "/mnt/deep/downx", false },
		{ "/mnt/deep/up/../down/x", true }, { "/proc/self/fd/3", true },
		{ "/proc/12/task/13/fd/3", true }, { "/proc/self/maps", false },
		{ "/dev/fd/0", true }, { "/dev/stdin", true }, { "/dev/null", false },
		{ "/proc//self/./fd/3", true },
	};
	char aligned[128] __attribute__((aligned(16)));
	unsigned i, shift;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		for (shift = 0; shift < 9; shift++) {
			const long a[6] = { AT_FDCWD, (long)(aligned + shift), 0, 0, 0, 0 };

			memset(aligned, '/', sizeof(aligned));
			strcpy(aligned + shift, table[i].path);
			if ((pil_classify(PIL_OP_openat, a) == PIL_OURS) != table[i].ours) {
				fprintf(stderr, "%s (+%u): wrong\n", table[i].path, shift);
				exit(1);
			}
		}
}

static void registers(void)
{
	static struct registers in, out;
	unsigned i;

	if (!__builtin_cpu_supports("avx512bw"))
		return;
	for (i = 0; i < sizeof(in.zmm) + sizeof(in.k) + sizeof(in.general); i++)
		((uint8_t *)&in)[i] = (uint8_t)(i * 7 + i / 64 + 1);
	in.mxcsr = 0x1f80 | 0x6000; /* round to zero */
	in.cw = 0x0f7f;
	stub.answer = 9;
	CHECK(site_registers(&in, &out, SYS_fsync, OURS) == 9);
	CHECK(memcmp(&in, &out, sizeof(in)) == 0);
	memset(&out, 0, sizeof(out));
	CHECK(site_registers(&in, &out, SYS_fsync, 12345) == -EBADF);
	CHECK(memcmp(&in, &out, sizeof(in)) == 0);
	memset(&out, 0, sizeof(out));
	CHECK(site_registers(&in, &out, SYS_fchdir, 12345) == -EBADF);
	CHECK(memcmp(&in, &out, sizeof(in)) == 0);
}

static void births(void)
{
	uint8_t *fds = (uint8_t *)pil_filter.fds;
	int fd, stale = dup(0);

	close(stale);
	stub.afters = 0;
	errno = 5;
	fd = (int)site(SYS_socket, AF_UNIX, SOCK_STREAM, 0, 0, 0, 0);
	CHECK(fd == stale && stub.afters == 0);
	close(fd);
	fds[stale] = PIL_FD_OURS;
	fd = (int)site(SYS_socket, AF_UNIX, SOCK_STREAM, 0, 0, 0, 0);
	CHECK(fd == stale && stub.afters == 1 && stub.op == PIL_OP_socket && errno == 5);
	fds[stale] = PIL_FD_KERNEL;
	/* a failed path is looked at again, a failed descriptor is not */
	stub.afters = 0;
	CHECK(site(SYS_access, (long)"/nowhere/x", F_OK, 0, 0, 0, 0) == -ENOENT);
	CHECK(stub.afters == 1 && stub.after_ret == -ENOENT);
	CHECK(site(SYS_access, (long)"/", F_OK, 0, 0, 0, 0) == 0);
	CHECK(stub.afters == 1);
	/* a birth beneath us is shown, whatever its number */
	pil_tls.depth = pil_tls.held = 1;
	CHECK(site(SYS_dup, fd, 0, 0, 0, 0, 0) > 0 && stub.afters == 2 && stub.op == PIL_OP_dup);
	CHECK(stub.depth == 1 && pil_tls.depth == 1);
	pil_tls.depth = pil_tls.held = 0;
	CHECK(site(SYS_fcntl, fd, F_GETFL, 0, 0, 0, 0) >= 0 && stub.afters == 2);
	close(fd);
}

static int callee_calls;

/* As glibc 2.41's __syscall_cancel_arch, but that nobody cancels. */
static long callee(void *cancelling, long nr, long a, long b, long c, long d, long e, long f)
{
	CHECK(cancelling == &callee_calls);
	callee_calls++;
	return pil_syscall(nr, a, b, c, d, e, f);
}

/* Calls that come by way of that function: ours are answered, the kernel's are made by it. */
static void funnelled(void)
{
	uint8_t *fds = (uint8_t *)pil_filter.fds;
	int fd, stale = dup(0);
	char byte;

	close(stale);
	pil_callee = (void *)callee;
	stub.answer = 7;
	CHECK(pil_cancellable(&callee_calls, SYS_fsync, OURS, 0, 0, 0, 0, 0) == 7);
	CHECK(stub.op == PIL_OP_fsync && callee_calls == 0);
	CHECK(pil_cancellable(&callee_calls, SYS_read, 12345, (long)&byte, 1, 0, 0, 0) == -EBADF);
	CHECK(callee_calls == 1);
	CHECK(pil_cancellable(&callee_calls, SYS_getppid, 0, 0, 0, 0, 0, 0) == getppid());
	CHECK(callee_calls == 2);
	stub.afters = 0;
	fds[stale] = PIL_FD_OURS;
	fd = (int)pil_cancellable(&callee_calls, SYS_openat, AT_FDCWD, (long)"/", O_RDONLY, 0, 0, 0);
	CHECK(fd == stale && callee_calls == 3 && stub.afters == 1 && stub.after_ret == fd);
	fds[stale] = PIL_FD_KERNEL;
	close(fd);
}

/* ---------------------------------------------------------------- stacks and cancellation */

static void *on_small_stack(void *arg)
{
	(void)arg;
	stub.stack = 128 * 1024;
	stub.answer = 1;
	CHECK(site(SYS_fsync, OURS, 0, 0, 0, 0, 0) == 1);
	stub.stack = 0;
	return NULL;
}

static volatile int reached, cleaned;

static void clean(void *arg)
{
	(void)arg;
	cleaned = pil_depth() == 0;
}

static void *blocked_at_a_site(void *arg)
{
	int fd = *(int *)arg;

	pthread_cleanup_push(clean, NULL);
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
	reached = 1;
	site(SYS_accept, fd, 0, 0, 0, 0, 0);
	pthread_cleanup_pop(0);
	return NULL;
}

static void spin(const long args[6])
{
	(void)args;
	reached = 1;
	while (reached != 2)
		usleep(100); /* a cancellation point: must not act inside */
	usleep(1000);
	reached = 3;
}

static void *inside_ours(void *arg)
{
	pthread_cleanup_push(clean, NULL);
	if (arg)
		pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
	site(SYS_fsync, OURS, 0, 0, 0, 0, 0);
	pthread_testcancel();
	pthread_cleanup_pop(0);
	return NULL;
}

static void *run(void *(*start)(void *), void *arg, bool cancel)
{
	pthread_attr_t attr;
	pthread_t thread;
	void *result;

	reached = cleaned = 0;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 16384);
	CHECK(pthread_create(&thread, &attr, start, arg) == 0);
	if (cancel) {
		while (!reached)
			usleep(100);
		usleep(20000);
		CHECK(pthread_cancel(thread) == 0);
		reached = 2;
	}
	CHECK(pthread_join(thread, &result) == 0);
	return result;
}

static void cancellation(void)
{
	struct sockaddr_un addr = { AF_UNIX, "" };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	CHECK(bind(fd, (struct sockaddr *)&addr, sizeof(sa_family_t)) == 0 && listen(fd, 1) == 0);
	CHECK(run(on_small_stack, NULL, false) == NULL);
	CHECK(run(blocked_at_a_site, &fd, true) == PTHREAD_CANCELED && cleaned);
	stub.during = spin;
	CHECK(run(inside_ours, NULL, true) == PTHREAD_CANCELED && cleaned && reached == 3);
	CHECK(run(inside_ours, (void *)1, true) == PTHREAD_CANCELED && cleaned && reached == 3);
	stub.during = NULL;
	close(fd);
}

int main(void)
{
	stub_start();
	who_answers();
	lowered();
	paths();
	registers();
	births();
	funnelled();
	cancellation();
	return 0;
}
