// SPDX-License-Identifier: BSD-2-Clause-Patent
/*
 * Signals, so that a call of ours is uninterruptible, as a regular file's is in Linux.
 *
 * Every handler of the application is entered through our thunk. One that arrives
 * at depth > 0 is sent to the thread again, with its siginfo, and all signals are
 * blocked in the interrupted context; the end of the call restores the mask, and
 * the kernel delivers. Faults pass at once - except those of pil_load_* and
 * friends, which go on at their fix-up.
 *
 * The kernel keeps everything about an action but the handler's address and two
 * flags, which are one word of `actions`: no lock, hence callable from anywhere.
 * Between two threads that change the same signal at the same moment the answer of
 * one may mix both, and a handler installed by a CLONE_VM child is also its
 * parent's; libc's own such child only resets signals, which leaves the word alone.
 */
#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "arch.h"
#include "pil.h"

#define SIGNALS 65
#define WORD_INFO (1ULL << 62)  /* SA_SIGINFO */
#define WORD_RESET (1ULL << 63) /* SA_RESETHAND */
#define WORD_ADDRESS (~(WORD_INFO | WORD_RESET))

/* struct sigaction as the kernel has it */
struct kernel_action {
	uint64_t handler;
	unsigned long flags;
	uint64_t restorer;
	uint64_t mask;
};

typedef void (*handler_fn)(int, siginfo_t *, void *);

/* What the application asked for: the handler's address and the two flags. */
static uint64_t actions[SIGNALS];

extern const struct pil_extable __start_pil_extable[], __stop_pil_extable[];

static void thunk(int sig, siginfo_t *info, void *context);

static inline uint64_t bit(int sig)
{
	return 1ULL << (sig - 1);
}

/* Signals that the kernel raises for an instruction; they cannot wait. */
static inline bool is_fault(int sig)
{
	return (bit(SIGSEGV) | bit(SIGBUS) | bit(SIGFPE) | bit(SIGILL) | bit(SIGTRAP) |
		bit(SIGSYS)) >> (sig - 1) & 1;
}

static const uint64_t all_but_faults =
	~(1ULL << (SIGSEGV - 1) | 1ULL << (SIGBUS - 1) | 1ULL << (SIGFPE - 1) |
	  1ULL << (SIGILL - 1) | 1ULL << (SIGTRAP - 1) | 1ULL << (SIGSYS - 1) |
	  1ULL << (SIGABRT - 1));

static long kernel_sigaction(int sig, const struct kernel_action *new, struct kernel_action *old)
{
	return pil_syscall(SYS_rt_sigaction, sig, (long)new, (long)old, 8, 0, 0);
}

/* Sends a signal to this very thread, as it came. */
static void send_again(int sig, siginfo_t *info)
{
	long pid = pil_syscall(SYS_getpid, 0, 0, 0, 0, 0, 0);
	long tid = pil_syscall(SYS_gettid, 0, 0, 0, 0, 0, 0);

	if (pil_syscall(SYS_rt_tgsigqueueinfo, pid, tid, sig, (long)info, 0, 0) < 0)
		pil_syscall(SYS_tgkill, pid, tid, sig, 0, 0, 0);
}

static void defer(int sig, siginfo_t *info, ucontext_t *uc)
{
	struct pil_tls *tls = &pil_tls;
	uint64_t *interrupted = (uint64_t *)&uc->uc_sigmask;
	uint64_t old = 0;

	/* Blocked here first, so that it stays pending; then in what we return to. */
	pil_syscall(SYS_rt_sigprocmask, SIG_BLOCK, (long)&all_but_faults, (long)&old, 8, 0, 0);
	if (tls->deferred++ == 0)
		tls->mask = *interrupted;
	*interrupted |= all_but_faults;
	send_again(sig, info);
}

/* The call has ended: let the signals come. Their handlers may jump away from here. */
void pil_signals_release(struct pil_tls *tls)
{
	uint64_t mask = tls->mask;

	tls->deferred = 0;
	pil_syscall(SYS_rt_sigprocmask, SIG_SETMASK, (long)&mask, 0, 8, 0, 0);
}

/* A fault of an instruction that reads the application's memory for us. */
static bool fixed_up(ucontext_t *uc)
{
	const struct pil_extable *e;
	uintptr_t pc = (uintptr_t)PIL_CONTEXT_PC(uc);

	for (e = __start_pil_extable; e < __stop_pil_extable; e++) {
		if ((uintptr_t)&e->insn + e->insn != pc)
			continue;
		PIL_CONTEXT_PC(uc) = (long)((uintptr_t)&e->fixup + e->fixup);
		return true;
	}
	return false;
}

/* The application did not ask for this signal; only our own interest put the thunk there. */
static void as_without_us(int sig, siginfo_t *info, uint64_t handler)
{
	struct kernel_action act = { 0 };

	if (handler == (uint64_t)SIG_IGN && info->si_code <= 0)
		return;
	/* By default: a fault happens again and kills; a sent signal is sent again. */
	kernel_sigaction(sig, &act, NULL);
	if (info->si_code <= 0)
		send_again(sig, info);
}

/* SA_RESETHAND: the handler runs once. */
static void reset(int sig, uint64_t word)
{
	struct kernel_action act = { 0 };

	if (!__atomic_compare_exchange_n(&actions[sig], &word, (uint64_t)SIG_DFL, false,
					 __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		return;
	if (sig != SIGSEGV && sig != SIGBUS)
		kernel_sigaction(sig, &act, NULL);
}

static void thunk(int sig, siginfo_t *info, void *context)
{
	uint64_t word, handler;

	if ((sig == SIGSEGV || sig == SIGBUS) && info->si_code > 0 && fixed_up(context))
		return;
	if (pil_unlikely(pil_tls.depth) && !is_fault(sig)) {
		defer(sig, info, context);
		return;
	}
	word = __atomic_load_n(&actions[sig], __ATOMIC_ACQUIRE);
	handler = word & WORD_ADDRESS;
	if (handler == (uint64_t)SIG_DFL || handler == (uint64_t)SIG_IGN) {
		as_without_us(sig, info, handler);
		return;
	}
	if (word & WORD_RESET)
		reset(sig, word);
	((handler_fn)handler)(sig, info, context);
}

/* Shows the application its own action instead of the thunk. */
static void as_asked(struct kernel_action *act, uint64_t word)
{
	if (act->handler != (uint64_t)thunk)
		return;
	act->handler = word & WORD_ADDRESS;
	act->flags &= ~(unsigned long)(SA_SIGINFO | SA_RESETHAND);
	if (word & WORD_INFO)
		act->flags |= SA_SIGINFO;
	if (word & WORD_RESET)
		act->flags |= SA_RESETHAND;
}

/*
 * rt_sigaction(sig, new, old, size). Pointers are libc's copies on its stack, or, from
 * syscall(), the program's: the kernel has looked at them before we do.
 */
long pil_sigaction(const long a[6])
{
	int sig = (int)a[0];
	const struct kernel_action *new = (const struct kernel_action *)a[1];
	struct kernel_action *old = (struct kernel_action *)a[2];
	struct kernel_action act, was;
	uint64_t word, before;
	bool handled;
	long r;

	if (sig < 1 || sig >= SIGNALS || a[3] != 8)
		return pil_syscall(SYS_rt_sigaction, a[0], a[1], a[2], a[3], 0, 0);
	before = __atomic_load_n(&actions[sig], __ATOMIC_ACQUIRE);
	if (!new) {
		r = kernel_sigaction(sig, NULL, old);
		if (r == 0 && old)
			as_asked(old, before);
		return r;
	}
	if (pil_probe_read(new, sizeof(*new)) < 0)
		return -EFAULT;
	act = *new;
	handled = act.handler != (uint64_t)SIG_DFL && act.handler != (uint64_t)SIG_IGN;
	word = act.handler | (act.flags & SA_SIGINFO ? WORD_INFO : 0) |
	       (act.flags & SA_RESETHAND ? WORD_RESET : 0);
	if (handled || sig == SIGSEGV || sig == SIGBUS) {
		__atomic_store_n(&actions[sig], word, __ATOMIC_RELEASE);
		act.handler = (uint64_t)thunk;
		act.flags = (act.flags & ~(unsigned long)SA_RESETHAND) | SA_SIGINFO;
	}
	r = kernel_sigaction(sig, &act, &was);
	if (r < 0) {
		if (act.handler == (uint64_t)thunk)
			__atomic_store_n(&actions[sig], before, __ATOMIC_RELEASE);
		return r;
	}
	if (old) {
		if (pil_probe_write(old, sizeof(*old)) < 0)
			return -EFAULT;
		as_asked(&was, before);
		*old = was;
	}
	return 0;
}

#if defined(__x86_64__)
/* The kernel wants the address of an rt_sigreturn; libc's is hidden, so this is ours. */
void pil_restore_rt(void);
__asm__(".pushsection .text\n"
	".type	pil_restore_rt, @function\n"
	"	nop\n"
	"pil_restore_rt:\n"
	"	movq	$15, %rax\n"
	"	syscall\n"
	".size	pil_restore_rt, . - pil_restore_rt\n"
	".popsection\n");
#define RESTORER (uint64_t)pil_restore_rt
#define RESTORER_FLAG 0x04000000UL
#else
#define RESTORER 0
#define RESTORER_FLAG 0UL
#endif

/*
 * Puts the thunk under SIGSEGV and SIGBUS, keeping what was asked for before, and
 * takes over handlers that were installed before us.
 */
int pil_signals_start(void)
{
	struct kernel_action act;
	int sig;

	for (sig = 1; sig < SIGNALS; sig++) {
		bool wanted = sig == SIGSEGV || sig == SIGBUS;

		if (kernel_sigaction(sig, NULL, &act) < 0 || act.handler == (uint64_t)thunk)
			continue;
		if (act.handler <= 1 && !wanted)
			continue;
		actions[sig] = act.handler | (act.flags & SA_SIGINFO ? WORD_INFO : 0) |
			       (act.flags & SA_RESETHAND ? WORD_RESET : 0);
		if (act.handler <= 1) {
			act.flags = SA_ONSTACK | RESTORER_FLAG;
			act.restorer = RESTORER;
		}
		act.handler = (uint64_t)thunk;
		act.flags = (act.flags & ~(unsigned long)SA_RESETHAND) | SA_SIGINFO;
		if (kernel_sigaction(sig, &act, NULL) < 0)
			return -1;
	}
	return 0;
}
