// SPDX-License-Identifier: BSD-2-Clause-Patent
/*
 * A call that is ours, from C into Rust and back.
 *
 * Rust runs on a private stack of the thread (libdaos needs tens of KiB; small
 * threads and signal stacks have not), with depth raised (its own calls go to the
 * kernel), cancellation off (nothing may unwind through it) and signals put off
 * (signals.c). errno belongs to the application and comes back as it was.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "arch.h"
#include "ops.h"
#include "pil.h"

#define STACK_SIZE PIL_STACK_SIZE
#define GUARD_SIZE 4096
#define SPARE_STACKS 64

__thread struct pil_tls pil_tls __attribute__((tls_model("initial-exec")));

static char *spare[SPARE_STACKS];
static pthread_key_t stack_key;
static bool have_key;
/* glibc 2.32's promise that there is one thread, hence nobody to cancel it; or NULL. */
static const char *single_threaded;

unsigned pil_depth(void)
{
	return pil_tls.depth - pil_tls.after;
}

bool pil_is_alone(void)
{
	return single_threaded && *single_threaded;
}

uint32_t pil_by(void)
{
	return pil_tls.by;
}

void pil_wait_later(int fd, int cmd, const struct flock *lock, int cancel)
{
	struct pil_wait *wait = &pil_tls.wait;

	_Static_assert(sizeof(wait->lock) == sizeof(*lock), "struct flock");
	wait->fd = fd;
	wait->cmd = cmd;
	wait->cancel = cancel;
	__builtin_memcpy(wait->lock, lock, sizeof(*lock));
}

/* Thread exit: keep the stack for the next thread. */
static void stack_free(void *stack)
{
	unsigned i;

	pil_tls.stack = pil_tls.top = NULL;
	for (i = 0; i < SPARE_STACKS; i++) {
		char *none = NULL;

		if (__atomic_compare_exchange_n(&spare[i], &none, stack, false, __ATOMIC_ACQ_REL,
						__ATOMIC_RELAXED))
			return;
	}
	pil_syscall(SYS_munmap, (long)stack, STACK_SIZE, 0, 0, 0, 0);
}

bool pil_stack_make(struct pil_tls *tls)
{
	char *stack = NULL;
	unsigned i;

	for (i = 0; i < SPARE_STACKS && !stack; i++)
		if (__atomic_load_n(&spare[i], __ATOMIC_RELAXED))
			stack = __atomic_exchange_n(&spare[i], NULL, __ATOMIC_ACQ_REL);
	if (!stack) {
		long r = pil_syscall(SYS_mmap, 0, STACK_SIZE, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1,
				     0);

		if ((unsigned long)r >= -4095UL)
			return false;
		stack = (char *)r;
		pil_syscall(SYS_mprotect, r, GUARD_SIZE, PROT_NONE, 0, 0, 0);
		pil_stack_is_known(stack + GUARD_SIZE, stack + STACK_SIZE);
	}
	tls->stack = stack;
	tls->top = stack + STACK_SIZE;
	if (have_key)
		pthread_setspecific(stack_key, stack);
	return true;
}

/* On the private stack, called by pil_on_stack, which keeps the vector registers. */
void pil_job(struct pil_job *job)
{
	job->saved_errno = errno;
	job->cancel_state = PTHREAD_CANCEL_DISABLE;
	if (!pil_is_alone())
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &job->cancel_state);
	switch (job->task) {
	case PIL_TASK_DISPATCH:
		job->ret = pil_dispatch(job->op, job->args);
		/* Now: from depth 0 on a handler may make calls that wait, too. */
		if (pil_unlikely(job->ret == PIL_WAIT))
			*job->wait = pil_tls.wait;
		break;
	case PIL_TASK_AFTER:
		pil_tls.after = 1;
		job->ret = pil_after(job->op, job->args, job->ret);
		pil_tls.after = 0;
		break;
	case PIL_TASK_EXIT:
		pil_exit((int)job->args[0]);
		break;
	case PIL_TASK_ADOPT:
		pil_adopt();
		break;
	case PIL_TASK_MPI:
		pil_mpi_init();
		break;
	case PIL_TASK_DLOPEN:
		pil_dlopen_prepare((const char *)job->args[0]);
		break;
	case PIL_TASK_CALL:
		((void (*)(void *))job->args[0])((void *)job->args[1]);
		break;
	case PIL_TASK_SPAWN:
		pil_spawn_prepare((const char *)job->args[0], (const void *)job->args[1], (int)job->args[2]);
		break;
	}
	errno = job->saved_errno;
}

/*
 * Back on the caller's stack; called by pil_on_stack before it restores the vector
 * registers, which it still keeps above `kept`. From the decrement on a signal
 * handler may run and make calls of its own: they start below. The last line may
 * end the thread, and its cleanup handlers make calls, too.
 */
void pil_leave(const struct pil_job *job, char *kept)
{
	struct pil_tls *tls = &pil_tls;

	tls->top = kept;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	tls->depth--;
	if (job->cancel_state == PTHREAD_CANCEL_ENABLE)
		pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
}

/*
 * Inlined where every frame counts: after a deep system call of libdaos the processor has
 * forgotten the returns above it, and guesses each of them wrong.
 */
static __attribute__((always_inline)) inline long run(struct pil_job *job, bool from_site)
{
	struct pil_tls *tls = &pil_tls;
	char *top;

	if (pil_unlikely(!tls->top) && !pil_stack_make(tls))
		return job->task == PIL_TASK_AFTER ? job->ret : -ENOMEM;
	/* Handlers that jumped out of pil_leave have left their keep behind. */
	if (pil_unlikely(tls->top < tls->stack + STACK_SIZE * 3 / 4) && !tls->exec)
		tls->top = tls->stack + STACK_SIZE;
	top = tls->running = tls->top;
	tls->depth++;
	pil_on_stack(job, top, from_site ? PIL_VECTORS : 0);
	tls->top = top;
	if (pil_unlikely(tls->deferred))
		pil_signals_release(tls);
	return job->ret;
}

long pil_run(struct pil_job *job, bool from_site)
{
	return run(job, from_site);
}

/*
 * A call of the kernel's on a descriptor of ours: as if the application had made it, at depth 0.
 * Handlers run in its middle; they restart it, end it, or jump out of it. Where an export
 * was called, nobody has prepared libc for a cancellation in a system call of ours.
 */
long pil_wait(const struct pil_wait *wait, bool from_site)
{
	int type;
	long r;

	if (from_site || !wait->cancel)
		return pil_syscall(SYS_fcntl, wait->fd, wait->cmd, (long)wait->lock, 0, 0, 0);
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &type);
	r = pil_syscall(SYS_fcntl, wait->fd, wait->cmd, (long)wait->lock, 0, 0, 0);
	pthread_setcanceltype(type, NULL);
	return r;
}

/*
 * For an operation with one path. What is found out about an absolute one is left for the
 * site that the real function will come to; the shim takes it back afterwards, except where
 * a frame of ours must not stay (cancellation points).
 */
static enum pil_verdict classify_path(int op, const long args[6])
{
	unsigned at = pil_ops[op].at[0], dirfd = at >> 4;
	const char *path = (const char *)args[at & 15];
	enum pil_verdict v;
	int bad = 0;

	v = pil_classify_path(dirfd == PIL_AT_CWD ? AT_FDCWD : (int)args[dirfd], path);
	if (v == PIL_KERNEL && !(pil_ops[op].flags & PIL_CANCEL) && path && pil_load_byte(path, &bad) == '/')
		pil_tls.passed = path;
	return v;
}

static __attribute__((always_inline)) inline long serve(int op, const long args[6],
							uint32_t by)
{
	struct pil_wait wait;
	struct pil_job job = { .task = PIL_TASK_DISPATCH, .op = op, .args = args, .wait = &wait };
	long r;

	if (pil_ops[op].flags & PIL_CANCEL)
		pthread_testcancel();
	pil_tls.by = by;
	r = run(&job, false);
	return pil_unlikely(r == PIL_WAIT) ? pil_wait(&wait, false) : r;
}

long pil_serve(int op, const long args[6], uint32_t by)
{
	switch (pil_ops[op].flags & PIL_PATH ? classify_path(op, args) : pil_classify(op, args)) {
	case PIL_KERNEL:
		return PIL_NOT_OURS;
	case PIL_CLOSED:
		return -EBADF;
	case PIL_OURS:
		break;
	}
	return serve(op, args, by);
}

long pil_serve_fd(int op, const long args[6], uint8_t what, uint32_t by)
{
	if (pil_likely(what == PIL_FD_OURS))
		return serve(op, args, by);
	return what == PIL_FD_HIDDEN ? -EBADF : PIL_NOT_OURS;
}

void pil_watch(int op, const long args[6], long result)
{
	struct pil_job job = { .task = PIL_TASK_AFTER, .op = op, .args = args, .ret = result };

	run(&job, false);
}

long pil_return(long result)
{
	if ((unsigned long)result >= -4095UL) {
		errno = (int)-result;
		return -1;
	}
	return result;
}

/*
 * exec from inside a call of ours: the new program must not inherit the signal
 * mask that only waits for the end of the call. A handler that runs now stands on
 * the upper half of the private stack, and its own calls take the lower half.
 *
 * In a CLONE_VM child (posix_spawn) our thread-local words are the parent's, and the
 * parent goes on when exec has succeeded: they must look as before the call. There
 * libc has reset the handlers.
 */
long pil_execveat(int dirfd, const char *path, char *const argv[], char *const envp[], int flags)
{
	struct pil_tls *tls = &pil_tls, saved = *tls;
	bool shared = pil_in_shared_child();
	long r;

	tls->exec++;
	tls->top = tls->stack + STACK_SIZE / 2;
	tls->depth = tls->after = 0;
	if (tls->deferred)
		pil_signals_release(tls);
	if (shared) {
		tls->exec = 0;
		tls->top = tls->running;
	}
	if (flags == 0)
		r = pil_syscall(SYS_execve, (long)path, (long)argv, (long)envp, 0, 0, 0);
	else
		r = pil_syscall(SYS_execveat, dirfd, (long)path, (long)argv, (long)envp, flags, 0);
	tls->depth = saved.depth;
	tls->after = saved.after;
	tls->top = saved.top;
	tls->exec = saved.exec;
	return r;
}

/*
 * A depth that belongs to nobody: its call was left by a jump out of a fault's handler,
 * or by the death of a CLONE_VM child in its middle. Calls beneath ours run on the private
 * stack; one that does not is the application's.
 */
void pil_depth_check(struct pil_tls *tls)
{
	char *here = __builtin_frame_address(0);

	if (tls->held || (here >= tls->stack && here < tls->stack + STACK_SIZE))
		return;
	tls->depth = tls->after = tls->exec = 0;
	tls->top = tls->stack + STACK_SIZE;
	if (tls->deferred)
		pil_signals_release(tls);
}

void pil_call_start(const char *flag)
{
	have_key = pthread_key_create(&stack_key, stack_free) == 0;
	single_threaded = flag;
}

long pil_within(void (*f)(void *), void *arg)
{
	const long args[6] = { (long)f, (long)arg };
	struct pil_job job = { .task = PIL_TASK_CALL, .args = args };

	if (pil_tls.depth)
		pil_depth_check(&pil_tls);
	return pil_tls.depth ? -EDEADLK : pil_run(&job, false);
}

/* ---------------------------------------------------------------- before a real function */

static void before(enum pil_task task, long first, long second, long third)
{
	const long args[6] = { first, second, third };
	struct pil_job job = { .task = task, .args = args };

	if (!pil_tls.depth)
		pil_run(&job, false);
}

void pil_adopt_now(void)
{
	before(PIL_TASK_ADOPT, 0, 0, 0);
}

void pil_mpi_c(void);
void pil_mpi_c(void)
{
	before(PIL_TASK_MPI, 0, 0, 0);
}

void pil_dlopen_c(const char *file);
void pil_dlopen_c(const char *file)
{
	before(PIL_TASK_DLOPEN, (long)file, 0, 0);
}

void pil_posix_spawn_c(pid_t *pid, const char *path, const void *actions);
void pil_posix_spawn_c(pid_t *pid, const char *path, const void *actions)
{
	(void)pid;
	before(PIL_TASK_SPAWN, (long)path, (long)actions, false);
}

void pil_posix_spawnp_c(pid_t *pid, const char *file, const void *actions);
void pil_posix_spawnp_c(pid_t *pid, const char *file, const void *actions)
{
	(void)pid;
	before(PIL_TASK_SPAWN, (long)file, (long)actions, true);
}
