// SPDX-License-Identifier: BSD-2-Clause-Patent
/* See stub.h. */
#include <dlfcn.h>
#include <errno.h>
#include <string.h>

#include "stub.h"

struct stub stub;
struct pil_filter pil_filter;

static uint8_t fds[1024];
static const struct pil_prefixes mounts = { 2, { { "/mnt/deep/down", 14 }, { "/pil", 4 } } };

static void use_stack(size_t bytes)
{
	volatile char room[4096];

	memset((void *)room, 1, sizeof(room));
	if (bytes > sizeof(room))
		use_stack(bytes - sizeof(room));
}

long pil_dispatch(int op, const long args[6])
{
	stub.calls++;
	stub.op = op;
	memcpy(stub.args, args, sizeof(stub.args));
	stub.depth = pil_depth();
	if (stub.stack)
		use_stack(stub.stack);
#if defined(__x86_64__)
	if ((uintptr_t)__builtin_frame_address(0) & 15)
		return -1000;
	/* Spoil what a call may spoil. */
	__asm__ volatile("pcmpeqd %%xmm0, %%xmm0\n pcmpeqd %%xmm7, %%xmm7\n pxor %%xmm15, %%xmm15\n" ::
				 : "memory");
	if (__builtin_cpu_supports("avx512bw"))
		__asm__ volatile("vpternlogd $0xff, %%zmm1, %%zmm1, %%zmm1\n"
				 "vpternlogd $0xff, %%zmm31, %%zmm31, %%zmm31\n"
				 "kxnorq %%k1, %%k1, %%k1\n vzeroupper\n"
				 ::: "memory");
#endif
	errno = 77;
	if (stub.during)
		stub.during(args);
	return stub.answer;
}

long pil_after(int op, const long args[6], long ret)
{
	stub.afters++;
	stub.op = op;
	memcpy(stub.args, args, sizeof(stub.args));
	stub.depth = pil_depth();
	errno = 78;
	stub.after_ret = ret;
	return ret;
}

int pil_start(void)
{
	return 0;
}

void pil_started(int armed)
{
	(void)armed;
}

int pil_hook(void *area, size_t len, void *gate, void *cancellable, void **callee)
{
	(void)area, (void)len, (void)gate, (void)cancellable, (void)callee;
	return -1;
}

void pil_adopt(void) {}
void pil_unhook(void) {}
void pil_fork_prepare(void) {}
void pil_fork_child(void) {}
bool pil_in_shared_child(void)
{
	return false;
}
void pil_mpi_init(void) {}

void pil_exit(int status)
{
	(void)status;
}

void pil_fork_parent(int failed)
{
	(void)failed;
}

void pil_dlopen_prepare(const char *file)
{
	(void)file;
}

void pil_spawn_prepare(const char *path, const void *actions, int search)
{
	(void)path, (void)actions, (void)search;
}

void stub_start(void)
{
	pil_vectors_start();
	pil_call_start(dlsym(RTLD_DEFAULT, "__libc_single_threaded"));
	CHECK(pil_stack_make(&pil_tls));
	CHECK(pil_signals_start() == 0);
	fds[OURS] = PIL_FD_OURS;
	fds[HIDDEN] = PIL_FD_HIDDEN;
	pil_filter.fds = fds;
	pil_filter.nfds = sizeof(fds);
	pil_filter.mounts = &mounts;
	pil_filter.armed = 1;
}
