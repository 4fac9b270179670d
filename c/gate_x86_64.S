/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * x86-64: the common end of all patched call sites, the switch to the private
 * stack, and the exports that must not leave a frame.
 *
 * A site's stub steps over the red zone and calls pil_gate; behind the call stand the
 * instructions that go on by our zero flag (set: to the original call; clear: behind it,
 * with the result in rax), and behind those three words (struct pil_site). rax holds the
 * call's number, rdi rsi rdx r10 r8 r9 its arguments; rcx, r11 and the flags are dead,
 * because the kernel would have destroyed them. Everything else must survive.
 *
 * Unwinders and pthread_cancel's forced unwinding pass through: the call frame
 * information says that the caller is the site itself, interrupted as by a signal.
 */
#include "ops.h"

/* From the return address to struct pil_site: funchook-sys's stub.rs, RETURN */
#define STUB_RETURN	19
#define SITE_AFTER	(STUB_RETURN + 8)
#define RED_ZONE	128

/* struct pil_filter */
#define ARMED		0
#define FDS		24
#define NFDS		32

/* struct pil_tls, and PIL_STACK_SIZE */
#define TLS_DEPTH	0
#define TLS_STACK	16
#define STACK_SIZE	(256 * 1024)

/* struct pil_frame */
#define F_NR		0
#define F_ARG		8
#define F_SITE		56
#define F_SIZE		64

	.hidden	pil_filter, pil_quick, pil_real, pil_tls, pil_find_for, pil_job, pil_leave, pil_return
	.hidden	pil_gate_c, pil_syscall_c, pil_dlopen_c, pil_mpi_c, pil_posix_spawn_c, pil_posix_spawnp_c
	.hidden	pil_vector_mode, pil_vector_mask, pil_vector_size, pil_vector_avx

	.text

	.globl	pil_gate
	.hidden	pil_gate
	.type	pil_gate, @function
	.p2align 6
pil_gate:
	.cfi_startproc
	.cfi_signal_frame
	.cfi_def_cfa	%rsp, RED_ZONE + 8
	.cfi_offset	%rip, -(RED_ZONE + 8)
	/* The quick answer: the kernel's descriptor in the first argument. */
	cmpq	$512, %rax
	jae	.Lslow
	leaq	pil_quick(%rip), %rcx
	cmpb	$1, (%rcx,%rax)
	jne	.Lslow
	movl	%edi, %ecx
	cmpl	pil_filter+NFDS(%rip), %ecx
	jae	.Lslow
	movq	pil_filter+FDS(%rip), %r11
	cmpb	$0, (%r11,%rcx)
	jne	.Lbeneath
	ret

	/* Or a call that libdaos makes beneath ours: at depth, and on the private stack. */
.Lbeneath:
	movq	pil_tls@gottpoff(%rip), %r11
	cmpl	$0, %fs:TLS_DEPTH(%r11)
	je	.Lslow
	movq	%rsp, %rcx
	subq	%fs:TLS_STACK(%r11), %rcx
	cmpq	$STACK_SIZE, %rcx
	jae	.Lslow
	xorl	%ecx, %ecx
	ret

.Lslow:
	/* For unwinders the caller is the site; the stub's address is kept in the frame. */
	movq	(%rsp), %rcx
	movq	SITE_AFTER(%rcx), %r11
	movq	%r11, (%rsp)
	pushq	%rbp
	.cfi_adjust_cfa_offset 8
	.cfi_offset	%rbp, -(RED_ZONE + 16)
	movq	%rsp, %rbp
	.cfi_def_cfa_register %rbp
	subq	$F_SIZE, %rsp
	andq	$-16, %rsp
	movq	%rax, F_NR(%rsp)
	movq	%rdi, F_ARG(%rsp)
	movq	%rsi, F_ARG+8(%rsp)
	movq	%rdx, F_ARG+16(%rsp)
	movq	%r10, F_ARG+24(%rsp)
	movq	%r8, F_ARG+32(%rsp)
	movq	%r9, F_ARG+40(%rsp)
	addq	$STUB_RETURN, %rcx
	movq	%rcx, F_SITE(%rsp)
	movq	%rsp, %rdi
	call	pil_gate_c
	movq	F_SITE(%rsp), %r11
	movl	%eax, %ecx
	movq	F_NR(%rsp), %rax
	movq	F_ARG(%rsp), %rdi
	movq	F_ARG+8(%rsp), %rsi
	movq	F_ARG+16(%rsp), %rdx
	movq	F_ARG+24(%rsp), %r10
	movq	F_ARG+32(%rsp), %r8
	movq	F_ARG+40(%rsp), %r9
	movq	%rbp, %rsp
	.cfi_def_cfa_register %rsp
	popq	%rbp
	.cfi_adjust_cfa_offset -8
	.cfi_restore	%rbp
	subq	$STUB_RETURN, %r11
	movq	%r11, (%rsp)
	testl	%ecx, %ecx
	ret
	.cfi_endproc
	.size	pil_gate, . - pil_gate

/*
 * void pil_on_stack(struct pil_job *job, char *top, unsigned long how)
 *
 * Calls pil_job(job) with the stack at top (a multiple of 64), then pil_leave(job, kept)
 * on the caller's stack - or, where that is the same one (PIL_NESTED, 2), below what is
 * kept: a signal's frame must not be written over it. With PIL_VECTORS (1) the whole vector state is kept between `kept` and
 * top meanwhile: pil_vector_mode says how (0 fxsave, 1 xsave, 2 xsavec), pil_vector_mask
 * what (XCR0 without tiles and protection keys), pil_vector_size how much (a multiple of 64).
 */
	.globl	pil_on_stack
	.hidden	pil_on_stack
	.type	pil_on_stack, @function
	.p2align 4
pil_on_stack:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset	%rbp, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register %rbp
	pushq	%rbx
	.cfi_offset	%rbx, -24
	pushq	%r12
	.cfi_offset	%r12, -32
	pushq	%r13
	.cfi_offset	%r13, -40
	pushq	%r14
	.cfi_offset	%r14, -48
	movq	%rsi, %rsp
	movq	%rdx, %r12
	movq	%rdi, %r13
	testl	$1, %r12d
	jz	.Lcall
	subq	pil_vector_size(%rip), %rsp
	movl	pil_vector_mode(%rip), %r14d
	movl	pil_vector_mask(%rip), %eax
	movl	pil_vector_mask+4(%rip), %edx
	testl	%r14d, %r14d
	jz	.Lfxsave
	/* The header's reserved words must be zero before a restore. */
	xorl	%ecx, %ecx
	movq	%rcx, 512(%rsp)
	movq	%rcx, 520(%rsp)
	movq	%rcx, 528(%rsp)
	movq	%rcx, 536(%rsp)
	movq	%rcx, 544(%rsp)
	movq	%rcx, 552(%rsp)
	movq	%rcx, 560(%rsp)
	movq	%rcx, 568(%rsp)
	cmpl	$2, %r14d
	je	.Lxsavec
	xsave64	(%rsp)
	jmp	.Lupper
.Lxsavec:
	xsavec64 (%rsp)
.Lupper:
	cmpb	$0, pil_vector_avx(%rip)
	je	.Lcall
	vzeroupper
	jmp	.Lcall
.Lfxsave:
	fxsave64 (%rsp)
.Lcall:
	movq	%rsp, %rbx
	call	pil_job
	testl	$2, %r12d
	jnz	.Lstay
	leaq	-32(%rbp), %rsp
.Lstay:
	movq	%r13, %rdi
	movq	%rbx, %rsi
	call	pil_leave
	testl	$1, %r12d
	jz	.Lreturn
	testl	%r14d, %r14d
	jz	.Lfxrstor
	movl	pil_vector_mask(%rip), %eax
	movl	pil_vector_mask+4(%rip), %edx
	xrstor64 (%rbx)
	jmp	.Lreturn
.Lfxrstor:
	fxrstor64 (%rbx)
.Lreturn:
	leaq	-32(%rbp), %rsp
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	.cfi_def_cfa	%rsp, 8
	ret
	.cfi_endproc
	.size	pil_on_stack, . - pil_on_stack

/* ---------------------------------------------------------------- exports without a frame */

.macro function name
	.globl	\name
	.type	\name, @function
	.p2align 4
\name:
	.cfi_startproc
.endm

.macro endfunction name
	.cfi_endproc
	.size	\name, . - \name
.endm

/* Jumps to the real function of that name, looking it up the first time. */
.macro jump_real name
	movq	pil_real+8*sym_\name(%rip), %r11
	testq	%r11, %r11
	jz	.Lfind_\name
	jmp	*%r11
.Lfind_\name:
	leaq	.Lname_\name(%rip), %r11
	movl	$sym_\name, %eax
	jmp	pil_find_and_jump
	.pushsection .rodata.str, "aMS", @progbits, 1
.Lname_\name:
	.string	"\name"
	.popsection
.endm

.macro save_arguments
	pushq	%rbp
	.cfi_adjust_cfa_offset 8
	.cfi_offset	%rbp, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register %rbp
	pushq	%rdi
	pushq	%rsi
	pushq	%rdx
	pushq	%rcx
	pushq	%r8
	pushq	%r9
.endm

.macro restore_arguments
	popq	%r9
	popq	%r8
	popq	%rcx
	popq	%rdx
	popq	%rsi
	popq	%rdi
	popq	%rbp
	.cfi_def_cfa	%rsp, 8
	.cfi_restore	%rbp
.endm

	.type	pil_find_and_jump, @function
pil_find_and_jump:
	.cfi_startproc
	save_arguments
	movl	%eax, %edi
	movq	%r11, %rsi
	movq	8(%rbp), %rdx
	call	pil_find_for
	movq	%rax, %r11
	restore_arguments
	jmp	*%r11
	.cfi_endproc
	.size	pil_find_and_jump, . - pil_find_and_jump

/*
 * long syscall(long nr, ...): at depth > 0 (or when nothing is ours beneath us) one raw
 * instruction, because locks and channels of our own runtime come this way.
 */
	function syscall
	cmpl	$0, pil_filter+ARMED(%rip)
	je	.Lreal_syscall
	movq	pil_tls@gottpoff(%rip), %rax
	cmpl	$0, %fs:(%rax)
	jne	.Lraw_syscall
	cmpq	$512, %rdi
	jae	.Lreal_syscall
	leaq	pil_quick(%rip), %rax
	cmpb	$0, (%rax,%rdi)
	je	.Lreal_syscall
	movq	8(%rsp), %rax		/* the sixth argument */
	save_arguments
	subq	$48, %rsp
	movq	%rsi, (%rsp)
	movq	%rdx, 8(%rsp)
	movq	%rcx, 16(%rsp)
	movq	%r8, 24(%rsp)
	movq	%r9, 32(%rsp)
	movq	%rax, 40(%rsp)
	movq	%rsp, %rsi
	subq	$8, %rsp
	andq	$-16, %rsp
	call	pil_syscall_c
	leaq	-48(%rbp), %rsp
	movq	%rdx, %r11
	restore_arguments
	testq	%r11, %r11
	jz	.Lreal_syscall
	ret
.Lraw_syscall:
	movq	%rdi, %rax
	movq	%rsi, %rdi
	movq	%rdx, %rsi
	movq	%rcx, %rdx
	movq	%r8, %r10
	movq	%r9, %r8
	movq	8(%rsp), %r9
	syscall
	cmpq	$-4095, %rax
	jae	.Lfailed_syscall
	ret
.Lfailed_syscall:
	movq	%rax, %rdi
	jmp	pil_return
.Lreal_syscall:
	jump_real syscall
	endfunction syscall

/* pid_t vfork(void): served as fork while we are armed, so that the child has its own tables. */
	function vfork
	cmpl	$0, pil_filter+ARMED(%rip)
	je	.Lreal_vfork
	jmp	fork@PLT
.Lreal_vfork:
	jump_real vfork
	endfunction vfork

/* void *dlopen(const char *file, int flags): the loader reads the caller's return address. */
	function dlopen
	cmpl	$0, pil_filter+ARMED(%rip)
	je	.Lreal_dlopen
	save_arguments
	call	pil_dlopen_c
	restore_arguments
.Lreal_dlopen:
	jump_real dlopen
	endfunction dlopen

/* int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions, ...): a mount
   that the child will use first has to be up, since the child shares our memory but not our descriptors. */
.macro spawn name
	function \name
	cmpl	$0, pil_filter+ARMED(%rip)
	je	.Lreal_\name
	save_arguments
	call	pil_\name\()_c
	restore_arguments
.Lreal_\name:
	jump_real \name
	endfunction \name
.endm

	spawn	posix_spawn
	spawn	posix_spawnp

.macro mpi name
	function \name
	cmpl	$0, pil_filter+ARMED(%rip)
	je	.Lreal_\name
	save_arguments
	call	pil_mpi_c
	restore_arguments
.Lreal_\name:
	jump_real \name
	endfunction \name
.endm

	mpi	MPI_Init
	mpi	MPI_Init_thread
	mpi	PMPI_Init
	mpi	PMPI_Init_thread
	mpi	mpi_init
	mpi	mpi_init_
	mpi	mpi_init__
	mpi	mpi_init_thread
	mpi	mpi_init_thread_
	mpi	mpi_init_thread__

/* ---------------------------------------------------------------- room for the stubs */

	.section .text.pil_stubs, "ax", @progbits
	.globl	pil_stubs, pil_stubs_end
	.hidden	pil_stubs, pil_stubs_end
	.p2align 12
pil_stubs:
	.fill	65536, 1, 0xcc
pil_stubs_end:

	.section .note.GNU-stack, "", @progbits
