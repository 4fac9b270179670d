// SPDX-License-Identifier: BSD-2-Clause-Patent
/* Signals that arrive while a call of ours runs, and what sigaction answers. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "stub.h"

struct kernel_action {
	uint64_t handler;
	unsigned long flags;
	uint64_t restorer;
	uint64_t mask;
};

/* Installs a handler as libc's patched site would. */
static void install(int sig, void *handler, int flags)
{
	struct sigaction sa;
	struct kernel_action act;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = (void (*)(int))handler;
	sa.sa_flags = flags;
	CHECK(sigaction(sig, &sa, NULL) == 0);
	/* what libc has given to the kernel, now by way of the gate */
	pil_filter.armed = 0;
	CHECK(site(SYS_rt_sigaction, sig, 0, (long)&act, 8, 0, 0) == 0);
	pil_filter.armed = 1;
	CHECK(site(SYS_rt_sigaction, sig, (long)&act, 0, 8, 0, 0) == 0);
}

static volatile int got, got_value, got_code, depth_in_handler, nested;
static sigjmp_buf out;

static void on_value(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)context;
	got++;
	got_value = info->si_value.sival_int;
	got_code = info->si_code;
	depth_in_handler = (int)pil_depth();
	if (nested) {
		void (*during)(const long args[6]) = stub.during;

		stub.during = NULL;
		CHECK(site(SYS_fsync, OURS, 0, 0, 0, 0, 0) == stub.answer);
		stub.during = during;
	}
}

static void queue_to_self(const long args[6])
{
	union sigval value = { .sival_int = 4711 };

	(void)args;
	CHECK(sigqueue(getpid(), SIGUSR1, value) == 0);
	CHECK(got == 0);
	CHECK(pil_tls.deferred == 1);
}

static void deferred_with_value(void)
{
	sigset_t before, after;

	install(SIGUSR1, (void *)on_value, SA_SIGINFO);
	stub.during = queue_to_self;
	stub.answer = 5;
	for (nested = 0; nested < 2; nested++) {
		got = 0;
		sigprocmask(SIG_SETMASK, NULL, &before);
		CHECK(site(SYS_fsync, OURS, 0, 0, 0, 0, 0) == 5);
		CHECK(got == 1 && got_value == 4711 && got_code == SI_QUEUE && !depth_in_handler);
		sigprocmask(SIG_SETMASK, NULL, &after);
		CHECK(memcmp(&before, &after, 8) == 0);
		CHECK(pil_tls.deferred == 0 && pil_depth() == 0);
		got = 0;
		CHECK(fsync(OURS) == 5 && got == 1);
	}
	nested = 0;
	stub.during = NULL;
}

static void queries(void)
{
	struct kernel_action act;
	struct sigaction sa;

	CHECK(site(SYS_rt_sigaction, SIGUSR1, 0, (long)&act, 8, 0, 0) == 0);
	CHECK(act.handler == (uint64_t)on_value && act.flags & SA_SIGINFO);
	install(SIGUSR2, (void *)on_value, SA_RESETHAND | SA_NODEFER);
	CHECK(site(SYS_rt_sigaction, SIGUSR2, 0, (long)&act, 8, 0, 0) == 0);
	CHECK(act.flags & SA_RESETHAND && act.flags & SA_NODEFER && !(act.flags & SA_SIGINFO));
	got = 0;
	raise(SIGUSR2);
	CHECK(got == 1);
	CHECK(sigaction(SIGUSR2, NULL, &sa) == 0 && sa.sa_handler == SIG_DFL);
	CHECK(site(SYS_rt_sigaction, SIGSEGV, 0, (long)&act, 8, 0, 0) == 0);
	CHECK(act.handler == (uint64_t)SIG_DFL);
	CHECK(site(SYS_rt_sigaction, 99, 0, (long)&act, 8, 0, 0) == -EINVAL);
	CHECK(site(SYS_rt_sigaction, SIGKILL, (long)&act, 0, 8, 0, 0) == -EINVAL);
}

static void jump(int sig)
{
	(void)sig;
	got++;
	siglongjmp(out, 1);
}

static void busy(const long args[6])
{
	volatile int i;

	(void)args;
	for (i = 0; i < 2000; i++)
		;
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)context;
	CHECK(info->si_addr == (void *)16);
	siglongjmp(out, 1);
}

static void storm(void)
{
	struct itimerval every = { { 0, 200 }, { 0, 200 } }, never = { { 0, 0 }, { 0, 0 } };
	volatile long nowhere = 16;
	static volatile unsigned done;

	install(SIGALRM, (void *)jump, 0);
	stub.during = busy;
	got = 0;
	setitimer(ITIMER_REAL, &every, NULL);
	while (got < 1500) {
		if (sigsetjmp(out, 1) == 0)
			for (;;) {
				CHECK(site(SYS_fsync, OURS, 0, 0, 0, 0, 0) == stub.answer);
				CHECK(fdatasync(OURS) == stub.answer);
				done++;
			}
		CHECK(pil_depth() == 0);
	}
	setitimer(ITIMER_REAL, &never, NULL);
	CHECK(done > 0 && pil_tls.deferred == 0);
	stub.during = NULL;

	/* an application's own SIGSEGV handler still sees its faults */
	install(SIGSEGV, (void *)on_fault, SA_SIGINFO);
	if (sigsetjmp(out, 1) == 0)
		*(volatile int *)(uintptr_t)nowhere = 0;
	CHECK(access((char *)1, 0) == -1 && errno == EFAULT);
}

int main(void)
{
	stub_start();
	deferred_with_value();
	queries();
	storm();
	return 0;
}
