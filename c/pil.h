/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What the files of the C entry share, and the contract between C and Rust.
 *
 * The entry has two doors: exported functions (generated into shims.c) and call
 * sites patched into libc and ld.so (gate_*.S, gate.c). Both classify a call by
 * the generated table (ops.h, table.c) and the filter (filter.c); what is ours
 * runs Rust on a private stack (call.c), everything else goes to the kernel as
 * if nobody had looked. No file-system logic lives here.
 */
#ifndef PIL_H
#define PIL_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(hidden)

#define PIL_NOT_OURS LONG_MIN   /* the call is the kernel's */
#define PIL_WAIT (LONG_MIN + 1) /* dispatch has left a call that may wait: pil_wait_later */

#define PIL_EXPORT __attribute__((visibility("default")))
#define pil_likely(x) __builtin_expect(!!(x), 1)
#define pil_unlikely(x) __builtin_expect(!!(x), 0)

/* ------------------------------------------------ owned by Rust (vfs/filter.rs) */

struct pil_prefix {
	const char *path; /* absolute, no trailing slash */
	uint32_t len;
};

/* In the order of pil_prefix_order; none lies below another. */
struct pil_prefixes {
	uint32_t count;
	struct pil_prefix at[];
};

struct pil_filter {
	uint32_t armed;    /* 0: nothing is ours, nothing to do */
	uint32_t cwd_ours; /* relative paths are ours */
	uint32_t mappings; /* number of mappings of ours */
	const struct pil_prefixes *mounts;
	const uint8_t *fds; /* one byte a number, enum pil_fd */
	uint32_t nfds;      /* numbers from here on are the kernel's ... */
	uint32_t high_base; /* ... but from here on ours, when not 0 */
};

enum pil_fd {
	PIL_FD_KERNEL = 0,
	PIL_FD_OURS = 1,
	PIL_FD_HIDDEN = 2, /* must look closed to the application */
	PIL_FD_NAMES = 3,  /* the kernel's directory, in which a path may name one of ours: /proc/self/fd */
};

extern struct pil_filter pil_filter;

/* ------------------------------------------------ Rust (capi), called by C */

/* Serves a general operation: a value, -errno, PIL_NOT_OURS, or PIL_WAIT. */
long pil_dispatch(int op, const long args[6]);
/* After the kernel made a call: births, failed paths, credentials. The result to hand on. */
long pil_after(int op, const long args[6], long ret);
/* Constructor, first step: environment and mount table. 1: something to serve, 0: nothing. */
int pil_start(void);
/* Constructor, last step: arms the filter (or reports that it stays off). */
void pil_started(int armed);
/* After arming: inherited descriptors and directory; what must be up before main. */
void pil_adopt(void);
/*
 * Scans libc and ld.so and sends their call sites to `gate`; <= 0: failed, nothing is patched.
 * Where one function makes libc's cancellable calls, its call goes to `cancellable` instead and
 * *callee becomes that function.
 */
int pil_hook(void *stub_area, size_t len, void *gate, void *cancellable, void **callee);
/* Takes every patch back. */
void pil_unhook(void);
void pil_fork_prepare(void);
void pil_fork_parent(int failed);
void pil_fork_child(void);
/* Whether this process shares the memory of another (vfork's, posix_spawn's child). */
bool pil_in_shared_child(void);
/* The last moment of the process (exit_group): report. */
void pil_exit(int status);
/* Before the real MPI_Init: bring DAOS up, if what MPI opens there may lie on a mount. */
void pil_mpi_init(void);
/* Before the real posix_spawn (search: posix_spawnp): brings up what its child would use first. */
void pil_spawn_prepare(const char *path, const void *actions, int search);
/* Keeps a text as the reason why nothing is intercepted. */
void pil_note(const char *text);
/* Before the real dlopen: load libdaos first where a nested load would crash. */
void pil_dlopen_prepare(const char *file);

/* ------------------------------------------------ C, called by Rust */

/* > 0 while this thread is inside a call of ours; in an after-step: while the call was made by one. */
unsigned pil_depth(void);
/* The process is known to have one thread. */
bool pil_is_alone(void);
/*
 * Who makes the call being served: PIL_BY_EXPORT and the number of an exported symbol, or the
 * number of a kernel call, made by libc or through syscall(2)'s function.
 */
uint32_t pil_by(void);
#define PIL_BY_EXPORT (1U << 31)
/*
 * What the running operation, which answers PIL_WAIT, wants made when it is over: fcntl with
 * a lock, which is copied. cancel: it is a cancellation point.
 */
struct flock;
void pil_wait_later(int fd, int cmd, const struct flock *lock, int cancel);
/* 0, or -EFAULT when some byte of [p, p + n) cannot be read (written). */
long pil_probe_read(const void *p, size_t n);
long pil_probe_write(void *p, size_t n);
/* Copies a string with its NUL: its length, -EFAULT, or -ENAMETOOLONG when size is too small. */
long pil_copy_path(char *dst, const char *src, size_t size);
/* Makes the exec system call with signals let through again; returns -errno on failure. */
long pil_execveat(int dirfd, const char *path, char *const argv[], char *const envp[], int flags);
/* Runs a function as a call of ours. 0, -EDEADLK inside such a call, -ENOMEM without a stack. */
long pil_within(void (*f)(void *), void *arg);
/*
 * Arms the library after the start, in a process with one thread: 0, -EPERM in a set-id program,
 * -ENOTSUP where it cannot be (a line says why).
 */
int pil_arm_late(void);
/* Whether sites of this kernel call number shall be patched. */
bool pil_wants(unsigned nr);

/* ------------------------------------------------ the catalogue (table.c, generated) */

enum pil_class {
	PIL_BIRTH = 1 << 0,   /* the result is a new descriptor */
	PIL_MEMORY = 1 << 1,  /* new descriptors are stored in memory */
	PIL_MAP = 1 << 2,     /* ours while mappings of ours exist */
	PIL_MMAP = 1 << 3,    /* as mmap: descriptor in argument 4 */
	PIL_PROCESS = 1 << 4, /* always dispatched */
	PIL_AFTER = 1 << 5,   /* after-step when the kernel succeeded */
	PIL_SIGNAL = 1 << 6,  /* rt_sigaction */
	PIL_CWD = 1 << 7,     /* ours while the working directory is */
	PIL_RIGHTS = 1 << 8,  /* sendmsg with control data */
	PIL_CANCEL = 1 << 9,  /* a cancellation point */
	PIL_SERVED = 1 << 10, /* may be answered by dispatch */
	PIL_PATH = 1 << 11,   /* decided by its only path alone */
	PIL_ADDRESS = 1 << 12, /* a socket address in argument 1, its length in 2 */
	PIL_NAMES = 1 << 13, /* also where argument 0 is a PIL_FD_NAMES */
};

#define PIL_NONE 0xff
#define PIL_AT_CWD 7 /* as dirfd index of a path: relative to the working directory */

struct pil_op {
	uint16_t flags;
	uint8_t fds;    /* bit i: argument i is a descriptor */
	uint8_t target; /* argument that names the descriptor to be replaced, or PIL_NONE */
	uint8_t at[2];  /* dirfd index << 4 | path index, or PIL_NONE */
	uint8_t cond_arg; /* birth only if this argument ... */
	uint8_t ncond;    /* ... is one of so many ... */
	int16_t cond[2];  /* ... values */
};

/* Where an argument of the general operation comes from. */
struct pil_source {
	int8_t index; /* the call's own argument, or a negative PIL_SRC_ */
	int32_t bits; /* or-ed to it */
};
#define PIL_SRC_LITERAL (-1)
#define PIL_SRC_EMPTY (-2)

struct pil_lowering {
	struct pil_source arg[6];
};

struct pil_row {
	uint8_t op; /* or PIL_NONE */
	uint8_t lowering;
};

#define PIL_NR_COUNT 512

enum pil_quick {
	PIL_QUICK_NONE,
	PIL_QUICK_FD,   /* the descriptor in the first argument alone */
	PIL_QUICK_PATH, /* the operation's only path alone */
	PIL_QUICK_ELSE,
};

extern const struct pil_op pil_ops[];
extern const struct pil_lowering pil_lowerings[];
extern const struct pil_row pil_rows[PIL_NR_COUNT];
/* enum pil_quick: what decides about a call of this number */
extern const uint8_t pil_quick[PIL_NR_COUNT];
extern const uint8_t pil_patched[PIL_NR_COUNT];
extern const char pil_empty[1];

/* ------------------------------------------------ per thread */

/* fcntl(fd, cmd, &lock) */
struct pil_wait {
	int fd, cmd, cancel;
	char lock[32] __attribute__((aligned(8)));
};

struct pil_tls {
	uint32_t depth;    /* calls of ours on this thread; the assembly reads it at offset 0 */
	uint32_t deferred; /* signals put off; their senders' mask is in `mask` */
	char *top;         /* where the next call's private stack starts, or NULL */
	char *stack;       /* the private stack itself */
	const char *passed; /* an export found this path to be the kernel's; its site need not ask again */
	char *running;     /* `top` when the running call began */
	uint64_t mask;     /* signal mask to be restored when the call ends */
	uint32_t selftest; /* gate passages while the start-up test runs; 0: no test */
	uint32_t after;    /* an after-step runs */
	uint32_t held;     /* depth is raised on the application's own stack (start, fork) */
	uint32_t exec;     /* an exec system call is being made */
	uint32_t by;       /* who makes the call being served: pil_by */
	int fork_errno;    /* errno before the fork under way */
	struct pil_wait wait; /* what the running operation leaves to its caller */
};

extern __thread struct pil_tls pil_tls __attribute__((tls_model("initial-exec")));

/* ------------------------------------------------ between C files */

enum pil_verdict {
	PIL_KERNEL, /* not ours */
	PIL_OURS,   /* ours, or perhaps: dispatch decides */
	PIL_CLOSED, /* a hidden descriptor: EBADF */
};

enum pil_verdict pil_classify(int op, const long args[6]);
/* The same for a single path. */
enum pil_verdict pil_classify_path(int dirfd, const char *path);

static inline uint8_t pil_fd_is(int fd)
{
	const struct pil_filter *f = &pil_filter;
	uint32_t n = (uint32_t)fd;

	if (n < __atomic_load_n(&f->nfds, __ATOMIC_ACQUIRE))
		return __atomic_load_n(&f->fds[n], __ATOMIC_RELAXED);
	return f->high_base && fd >= 0 && n >= f->high_base ? PIL_FD_OURS : PIL_FD_KERNEL;
}

static inline bool pil_armed(void)
{
	return __atomic_load_n(&pil_filter.armed, __ATOMIC_RELAXED) != 0;
}

/*
 * Beneath a call of ours? Exports then leave all to the real function, whose site knows a
 * depth that belongs to nobody.
 */
static inline bool pil_beneath(void)
{
	return pil_unlikely(pil_tls.depth != 0);
}

#define PIL_STACK_SIZE (256 * 1024) /* a private stack; gate_*.S know it, too */

/* What a call on the private stack shall do. */
enum pil_task {
	PIL_TASK_DISPATCH,
	PIL_TASK_AFTER,
	PIL_TASK_EXIT,   /* args[0]: status */
	PIL_TASK_ADOPT,  /* the program begins */
	PIL_TASK_MPI,    /* about to enter MPI_Init */
	PIL_TASK_DLOPEN, /* about to enter dlopen; args[0]: the file */
	PIL_TASK_CALL,   /* args: a function of one pointer, and that */
	PIL_TASK_SPAWN,  /* about to enter posix_spawn; args: path, file actions, whether PATH counts */
};

struct pil_job {
	enum pil_task task;
	int op;
	const long *args;
	long ret; /* in: the kernel's answer (after-step); out: the result */
	int saved_errno, cancel_state;
	struct pil_wait *wait; /* dispatch: filled when ret is PIL_WAIT */
};

/* Runs a job at depth + 1; from_site: the caller's vector registers are live. */
long pil_run(struct pil_job *job, bool from_site);
/* The same, from an exported function that is not beneath a call of ours: classify, testcancel, run. */
long pil_serve(int op, const long args[6], uint32_t by);
/* The same for an operation that a single descriptor decides, which is `what` (enum pil_fd). */
long pil_serve_fd(int op, const long args[6], uint8_t what, uint32_t by);
/* The after-step of a function that libc makes of several calls, or for all threads. */
void pil_watch(int op, const long args[6], long result);
/* The answer of a job that is PIL_WAIT; from_site: libc sees to cancellation. */
long pil_wait(const struct pil_wait *wait, bool from_site);
/* -1 and errno, or the value. The only writer of errno. */
long pil_return(long result);
/* Makes this thread's private stack; false: no memory. */
bool pil_stack_make(struct pil_tls *tls);
void pil_adopt_now(void);
/* Depth is not 0: makes it so if no call of ours runs. */
void pil_depth_check(struct pil_tls *tls);
/* The process begins: what a constructor is called with. */
void pil_begin(int argc, char **argv, char **envp);
/* Makes the bookkeeping of private stacks; `single_threaded` is libc's flag, or NULL. */
void pil_call_start(const char *single_threaded);

/* From gate_*.S */
extern char pil_stubs[], pil_stubs_end[];
extern uint32_t pil_vector_mode;
extern uint64_t pil_vector_mask, pil_vector_size;
extern uint8_t pil_vector_avx;
void pil_vectors_start(void);
void pil_gate(void);
#define PIL_VECTORS 1 /* the caller's vector registers are live */
#define PIL_NESTED 2  /* the caller stands on that stack already, above top */
void pil_on_stack(struct pil_job *job, char *top, unsigned long how);

/* What a site's stub holds: STUB_RETURN bytes (gate_x86_64.S) behind the return address of its call of pil_gate. */
struct __attribute__((packed)) pil_site {
	uint64_t resume_syscall; /* the original instruction, or the stub's own */
	uint64_t resume_after;
	uint64_t index;
};

/* The registers of a site, as gate_*.S stores them. */
struct pil_frame {
	long nr; /* becomes the result */
	long arg[6];
	const struct pil_site *site;
};

/*
 * In the place of glibc 2.41's __syscall_cancel_arch, which `pil_callee` is: makes a call that a
 * pthread_cancel ends when *cancelling says so. -errno, or a value.
 */
long pil_cancellable(void *cancelling, long nr, long a, long b, long c, long d, long e, long f);
extern void *pil_callee;

#define PIL_GO_ON 0
#define PIL_DONE 1
int pil_gate_c(struct pil_frame *frame);
/* What pil_on_stack calls: on the private stack, and back on the caller's. */
void pil_job(struct pil_job *job);
void pil_leave(const struct pil_job *job, char *kept);

/* signals.c */
int pil_signals_start(void);
long pil_sigaction(const long a[6]);
void pil_signals_release(struct pil_tls *tls);

/* real.c: the next definition of an exported function, found once */
void *pil_find(unsigned sym, const char *name);
/* The same for a call from this address. */
void *pil_find_for(unsigned sym, const char *name, const void *caller);
extern void *pil_real[];

#pragma GCC visibility pop

#endif
