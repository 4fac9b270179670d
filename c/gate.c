// SPDX-License-Identifier: BSD-2-Clause-Patent
/*
 * The C half of the gate: what a patched call site of libc or ld.so does.
 *
 * Three ways: go on to the original instruction with every register as it was;
 * hand on an answer of ours; or make the call in place, because something has to
 * be looked at after it (a new descriptor, a failed path, a changed identity).
 * A call in place is the kernel's own in every respect: interruptible, restarted
 * by the kernel, cancellable, and at depth 0. From glibc 2.41 on a blocked call can
 * only be cancelled while it stands in one function of libc's, so cancellable ones
 * are caught where that function is called, and made by it.
 *
 * Compiled with general registers only: vector registers belong to the site.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "arch.h"
#include "ops.h"
#include "pil.h"

#define SELFTEST_FD 0x70696c00 /* no descriptor has this number */

bool pil_wants(unsigned nr)
{
	return nr < PIL_NR_COUNT && pil_patched[nr];
}

/* A call of `pil_callee`: no stub, no vector registers to keep. */
struct funnelled {
	struct pil_frame frame;
	void *cancelling;
};

static const struct pil_site funnel = { .index = ~0U };

void *pil_callee;

static inline bool is_funnelled(const struct pil_frame *f)
{
	return f->site == &funnel;
}

static inline long argument(const struct pil_source *s, const long given[6])
{
	if (s->index >= 0)
		return given[s->index] | s->bits;
	return s->index == PIL_SRC_EMPTY ? (long)pil_empty : s->bits;
}

static void lower(const struct pil_row *row, const long given[6], long out[6])
{
	const struct pil_source *s = pil_lowerings[row->lowering].arg;
	unsigned i;

	for (i = 0; i < 6; i++)
		out[i] = row->lowering ? argument(&s[i], given) : given[i];
}

static int done(struct pil_frame *f, long result)
{
	f->nr = result;
	return PIL_DONE;
}

/* May this call create a descriptor (fcntl only does so for two of its commands)? */
static bool gives_birth(const struct pil_op *o, const long a[6])
{
	unsigned i;

	if (!(o->flags & PIL_BIRTH) || !o->ncond)
		return o->flags & PIL_BIRTH;
	for (i = 0; i < o->ncond; i++)
		if (a[o->cond_arg] == o->cond[i])
			return true;
	return false;
}

/* Are there new descriptors in memory that Rust should see? */
static bool newborn_in_memory(int op, const long a[6])
{
	const int *fds;

	switch (op) {
	case PIL_OP_pipe:
	case PIL_OP_pipe2:
	case PIL_OP_socketpair:
		fds = (const int *)a[op == PIL_OP_socketpair ? 3 : 0];
		return pil_tls.depth || pil_fd_is(fds[0]) || pil_fd_is(fds[1]);
	case PIL_OP_recvmsg:
		return ((const struct msghdr *)a[1])->msg_controllen != 0;
	default:
		return true;
	}
}

/* After these a symbolic link of another file system may still lead into a mount. */
static inline bool late(long ret)
{
	return ret == -ENOENT || ret == -ENOTDIR || ret == -EACCES || ret == -EROFS;
}

/* Has Rust to look at what the kernel answered? */
static bool wants_after(int op, const long a[6], long ret)
{
	const struct pil_op *o = &pil_ops[op];

	if (ret >= 0) {
		if (o->flags & PIL_AFTER)
			return true;
		if (o->flags & PIL_MEMORY)
			return newborn_in_memory(op, a);
		return gives_birth(o, a) && (pil_tls.depth || pil_fd_is((int)ret));
	}
	if (o->at[0] == PIL_NONE || pil_tls.depth)
		return false;
	return late(ret);
}

static int after(struct pil_frame *f, int op, const long a[6], long ret)
{
	struct pil_job job = { .task = PIL_TASK_AFTER, .op = op, .args = a, .ret = ret };

	return done(f, pil_run(&job, !is_funnelled(f)));
}

/* Makes the call as the application gave it, where it can be cancelled. */
static long make(const struct pil_frame *f)
{
	const long *a = f->arg;

	if (is_funnelled(f))
		return ((__typeof__(&pil_cancellable))pil_callee)(
			((const struct funnelled *)f)->cancelling, f->nr, a[0], a[1], a[2], a[3],
			a[4], a[5]);
	return pil_syscall(f->nr, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* The call that the operation has left to be made, in the place of the application's own. */
static long wait_at(const struct pil_frame *f, const struct pil_wait *wait)
{
	struct funnelled call;

	if (!is_funnelled(f))
		return pil_wait(wait, true);
	call = *(const struct funnelled *)f;
	call.frame.nr = SYS_fcntl;
	call.frame.arg[0] = wait->fd;
	call.frame.arg[1] = wait->cmd;
	call.frame.arg[2] = (long)wait->lock;
	return make(&call.frame);
}

/* Makes the call and shows Rust what came of it. */
static int in_place(struct pil_frame *f, int op, const long a[6])
{
	long ret = make(f);

	return pil_unlikely(wants_after(op, a, ret)) ? after(f, op, a, ret) : done(f, ret);
}

/* A call beneath ours (libdaos, libfabric, libc for them): the kernel's, but births are seen. */
static int beneath(struct pil_frame *f, int op, const long a[6])
{
	struct pil_tls *tls = &pil_tls;
	struct pil_job job = { .task = PIL_TASK_AFTER, .op = op, .args = a };
	char *top;

	if (!(pil_ops[op].flags & PIL_MEMORY) && !gives_birth(&pil_ops[op], a))
		return PIL_GO_ON;
	job.ret = pil_syscall(f->nr, f->arg[0], f->arg[1], f->arg[2], f->arg[3], f->arg[4],
			      f->arg[5]);
	if (!wants_after(op, a, job.ret))
		return done(f, job.ret);
	/* We are on the private stack already: go on below, and stay at this depth. */
	top = tls->top;
	tls->depth++;
	pil_on_stack(&job, (char *)(((uintptr_t)__builtin_frame_address(0) - 512) & ~63UL),
		     PIL_VECTORS | PIL_NESTED);
	tls->top = top;
	return done(f, job.ret);
}

static long exiting(const long a[6])
{
	struct pil_job job = { .task = PIL_TASK_DISPATCH, .op = PIL_OP_exit_group, .args = a };

	pil_run(&job, true);
	job.task = PIL_TASK_EXIT;
	return pil_run(&job, true);
}

/* The commonest call of all, a path of the kernel's: decided and made before anything is lowered. */
static bool kernels_path(struct pil_frame *f, const struct pil_row *row)
{
	const struct pil_source *s = pil_lowerings[row->lowering].arg;
	const struct pil_op *o = &pil_ops[row->op];
	unsigned at = o->at[0], dirfd = at >> 4;
	const char *path = (const char *)argument(&s[at & 15], f->arg);

	if (path && pil_tls.passed == path) {
		pil_tls.passed = NULL;
		return true;
	}
	return pil_classify_path(dirfd == PIL_AT_CWD ? AT_FDCWD : (int)argument(&s[dirfd], f->arg),
				 path) == PIL_KERNEL;
}

int pil_gate_c(struct pil_frame *f)
{
	struct pil_tls *tls = &pil_tls;
	const struct pil_row *row;
	const struct pil_op *o;
	struct pil_wait wait;
	struct pil_job job;
	long a[6];
	int op;

	if (pil_unlikely(tls->selftest) && f->arg[0] == SELFTEST_FD) {
		tls->selftest++;
		return done(f, -EBADF);
	}
	if (!pil_armed() || (unsigned long)f->nr >= PIL_NR_COUNT)
		return PIL_GO_ON;
	row = &pil_rows[f->nr];
	op = row->op;
	if (op == PIL_NONE)
		return PIL_GO_ON;
	o = &pil_ops[op];
	if (pil_quick[f->nr] == PIL_QUICK_PATH && !tls->depth && kernels_path(f, row)) {
		long ret = make(f);

		if (pil_likely(ret >= 0 ? !(o->flags & PIL_BIRTH) || !pil_fd_is((int)ret) :
					  !late(ret)))
			return done(f, ret);
		lower(row, f->arg, a);
		return after(f, op, a, ret);
	}
	if (o->flags & PIL_SIGNAL)
		return done(f, pil_sigaction(f->arg));
	if (pil_unlikely(tls->depth)) {
		pil_depth_check(tls);
		if (tls->depth && !(o->flags & (PIL_BIRTH | PIL_MEMORY)))
			return PIL_GO_ON;
		lower(row, f->arg, a);
		if (tls->depth)
			return beneath(f, op, a);
	} else {
		lower(row, f->arg, a);
	}
	if (op == PIL_OP_exit_group) {
		exiting(a);
		return PIL_GO_ON;
	}
	if (o->flags & PIL_SERVED) {
		switch (pil_classify(op, a)) {
		case PIL_KERNEL:
			break;
		case PIL_CLOSED:
			return done(f, -EBADF);
		case PIL_OURS:
			if (is_funnelled(f))
				pthread_testcancel();
			tls->by = (uint32_t)f->nr;
			job = (struct pil_job){
				.task = PIL_TASK_DISPATCH, .op = op, .args = a, .wait = &wait
			};
			if (pil_run(&job, !is_funnelled(f)) == PIL_NOT_OURS)
				break;
			return done(f, job.ret == PIL_WAIT ? wait_at(f, &wait) : job.ret);
		}
	}
	if (o->at[0] != PIL_NONE || o->flags & (PIL_AFTER | PIL_MEMORY) || gives_birth(o, a))
		return in_place(f, op, a);
	return PIL_GO_ON;
}

long pil_cancellable(void *cancelling, long nr, long a, long b, long c, long d, long e, long f)
{
	struct funnelled call = {
		.frame = { .nr = nr, .arg = { a, b, c, d, e, f }, .site = &funnel },
		.cancelling = cancelling,
	};

	/* The quick answer, as in pil_gate. */
	if (pil_likely((unsigned long)nr < PIL_NR_COUNT && pil_quick[nr] == PIL_QUICK_FD &&
		       pil_fd_is((int)a) == PIL_FD_KERNEL))
		return make(&call.frame);
	return pil_gate_c(&call.frame) == PIL_GO_ON ? make(&call.frame) : call.frame.nr;
}

/* ---------------------------------------------------------------- the exported syscall() */

/*
 * syscall(2)'s function, when the number is one of the catalogue and the mount
 * table is not empty. `handled` says whether the result is final; otherwise the
 * assembly goes on to the real function with the arguments it kept.
 */
struct pil_answer {
	long value;
	long handled;
};

struct pil_answer pil_syscall_c(long nr, const long given[6]);
struct pil_answer pil_syscall_c(long nr, const long given[6])
{
	struct pil_answer answer = { 0, 0 };
	const struct pil_row *row = &pil_rows[nr];
	long a[6];

	if (row->op == PIL_NONE || !(pil_ops[row->op].flags & PIL_SERVED))
		return answer;
	if (pil_ops[row->op].flags & (PIL_SIGNAL | PIL_PROCESS))
		return answer; /* the real one's own site */
	lower(row, given, a);
	answer.value = pil_serve(row->op, a, (uint32_t)nr);
	if (answer.value != PIL_NOT_OURS) {
		answer.value = pil_return(answer.value);
		answer.handled = 1;
	}
	return answer;
}
