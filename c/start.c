// SPDX-License-Identifier: BSD-2-Clause-Patent
/*
 * The start: reads what there is to read, and when a mount is configured
 * arms the library - signals, private stack, call sites, fork handlers - and
 * proves by a self-test that the sites answer. On any failure the process is left
 * as it was, with one line on stderr: serving half of a program's calls is never
 * an option.
 *
 * It runs before the program's constructors have started threads (loaded.c, linked.c);
 * libc's own constructor may not have run either, hence the care about environ.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <link.h>
#include <pthread.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "arch.h"
#include "ops.h"
#include "pil.h"

#define SELFTEST_FD 0x70696c00 /* as in gate.c */

extern char **environ;

/* Who exports this is a copy of us. */
PIL_EXPORT const char pil4dfs_marker[] = "daos-pil4dfs";
/* Our own one: the name itself is that of the first copy, here too. */
extern __attribute__((alias("pil4dfs_marker"), visibility("hidden"))) const char own_marker[sizeof("daos-pil4dfs")];

/* DAOS's own library, if it is loaded: a dlsym that finds nothing allocates its message. */
extern __attribute__((weak, visibility("default"))) const char query_pil4dfs_path[];

/* One line, which is also the reason that a program gets by call. */
static void say(const char *text)
{
	static const char name[] = "libpil4dfs: ";
	struct iovec parts[3] = { { (void *)name, sizeof(name) - 1 },
				  { (void *)text, strlen(text) },
				  { "\n", 1 } };

	pil_syscall(SYS_writev, 2, (long)parts, 3, 0, 0, 0);
	pil_note(text);
}

/* Functions of libc whose sites must reach the gate; each answers EBADF for its magic number. */
static bool sites_answer(void)
{
	struct pil_tls *tls = &pil_tls;
	char buf[8];
	uint32_t before, after;

	tls->selftest = before = 1;
	((long (*)(int, long, int))pil_find(PIL_SYM_lseek, "lseek"))(SELFTEST_FD, 0, 0);
	((long (*)(int, void *, size_t))pil_find(PIL_SYM_read, "read"))(SELFTEST_FD, buf, 0);
	((long (*)(int, const void *, size_t))pil_find(PIL_SYM_write, "write"))(SELFTEST_FD, buf, 0);
	((int (*)(int, const char *, int, ...))pil_find(PIL_SYM_openat, "openat"))(SELFTEST_FD, "x", 0);
	((int (*)(int))pil_find(PIL_SYM_close, "close"))(SELFTEST_FD);
	((int (*)(int))pil_find(PIL_SYM_fsync, "fsync"))(SELFTEST_FD);
	((int (*)(int, const char *, void *, int))pil_find(PIL_SYM_fstatat, "fstatat"))(SELFTEST_FD, "x",
										       buf, 0);
	after = tls->selftest;
	tls->selftest = 0;
	/* fstatat is no function of its own before glibc 2.33. */
	return after - before >= 6;
}

static void fork_prepare(void)
{
	/* Held until fork has returned: a handler must not meet the locks we take. */
	pil_tls.depth++;
	pil_tls.held++;
	pil_fork_prepare();
	/* Nobody tells the parent's handler of a failure, but errno: from here on only the call sets it. */
	pil_tls.fork_errno = errno;
	errno = 0;
}

static void fork_over(void)
{
	struct pil_tls *tls = &pil_tls;

	tls->held--;
	tls->depth--;
	if (!tls->depth && tls->deferred)
		pil_signals_release(tls);
}

static void fork_parent(void)
{
	int error = errno;

	pil_fork_parent(error == EAGAIN || error == ENOMEM);
	errno = error ? error : pil_tls.fork_errno;
	fork_over();
}

static void fork_child(void)
{
	errno = pil_tls.fork_errno;
	pil_fork_child();
	fork_over();
}

/* Another interposer of the same kind would serve the same calls: one of the two must rest. */
static bool rival(void)
{
	const void *first = dlsym(RTLD_DEFAULT, "pil4dfs_marker");

	if (first && first != (const void *)own_marker) {
		say("a second copy of this library stays off");
		return true;
	}
	if (query_pil4dfs_path) {
		say("DAOS's own interception library is loaded too; this one stays off");
		return true;
	}
	return false;
}

static bool arm(void)
{
	pil_vectors_start();
	pil_call_start(dlsym(RTLD_DEFAULT, "__libc_single_threaded"));
	if (!pil_stack_make(&pil_tls) || pil_signals_start() < 0) {
		say("cannot set up stack and signals; interception is off");
		return false;
	}
	if (pil_hook(pil_stubs, (size_t)(pil_stubs_end - pil_stubs), (void *)pil_gate,
		     (void *)pil_cancellable, &pil_callee) <= 0) {
		say("libc cannot be patched here; interception is off");
		return false;
	}
	if (!sites_answer()) {
		pil_unhook();
		say("patched call sites do not answer; interception is off");
		return false;
	}
	if (pthread_atfork(fork_prepare, fork_parent, fork_child) != 0) {
		pil_unhook();
		say("no memory for fork handlers; interception is off");
		return false;
	}
	return true;
}

/* libc's object, looked for by an address in it. */
struct libc {
	uintptr_t inside, base;
	const ElfW(Dyn) *dynamic;
};

static int is_libc(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct libc *libc = arg;
	bool found = false;

	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];

		if (p->p_type == PT_LOAD && libc->inside - info->dlpi_addr - p->p_vaddr < p->p_memsz)
			found = true;
		if (p->p_type == PT_DYNAMIC)
			libc->dynamic = (const ElfW(Dyn) *)(info->dlpi_addr + p->p_vaddr);
	}
	libc->base = info->dlpi_addr;
	return found;
}

/*
 * libc learns of the program's arguments in its own constructor, which may come after ours. Where
 * DAOS is loaded in ours, the loader has libc begin for it, with the arguments that libc knows:
 * none, and it never asks again. So it begins here, as the loader would have it begin, and a
 * second time from there, to no effect.
 */
static void libc_begins(int argc, char **argv, char **envp)
{
	typedef void init(int, char **, char **);
	struct libc libc = { .inside = (uintptr_t)gnu_get_libc_version };
	init **array = NULL, *first = NULL;
	size_t count = 0;

	if (*program_invocation_name || !dl_iterate_phdr(is_libc, &libc) || !libc.dynamic)
		return;
	for (const ElfW(Dyn) *d = libc.dynamic; d->d_tag != DT_NULL; d++) {
		if (d->d_tag == DT_INIT)
			first = (init *)(libc.base + d->d_un.d_ptr);
		if (d->d_tag == DT_INIT_ARRAY)
			array = (init **)(libc.base + d->d_un.d_ptr);
		if (d->d_tag == DT_INIT_ARRAYSZ)
			count = d->d_un.d_val / sizeof(*array);
	}
	if (first)
		first(argc, argv, envp);
	for (size_t i = 0; array && i < count; i++)
		array[i](argc, argv, envp);
}

/* From the constructor, or before any (linked.c). */
void pil_begin(int argc, char **argv, char **envp)
{
	bool armed;

	if (getauxval(AT_SECURE)) {
		pil_note("a set-id program is left alone");
		return;
	}
	if (!environ)
		environ = envp;
	pil_tls.depth++;
	pil_tls.held++;
	armed = pil_start() > 0;
	if (armed) {
		armed = !rival() && arm();
		pil_started(armed);
	}
	pil_tls.held--;
	pil_tls.depth--;
	if (armed) {
		libc_begins(argc, argv, environ);
		pil_adopt_now();
	}
}

int pil_arm_late(void)
{
	int saved = errno;
	bool armed;

	if (getauxval(AT_SECURE))
		return -EPERM;
	pil_tls.depth++;
	pil_tls.held++;
	armed = !rival() && arm();
	pil_started(armed);
	pil_tls.held--;
	pil_tls.depth--;
	errno = saved;
	return armed ? 0 : -ENOTSUP;
}
