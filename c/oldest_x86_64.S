/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * One binary for many C libraries: functions that glibc 2.34 moved into libc.so.6 under a new
 * version are bound to the old version here, which every later glibc keeps as well. The thunks are
 * hidden and have the functions' own names, so that C, Rust's library and libgcc all end up here.
 * They jump: dlsym looks at its caller's return address.
 */
	.text

.macro oldest name
	.globl	\name
	.hidden	\name
	.type	\name, @function
	.p2align 4
\name:
	.cfi_startproc
	jmp	*oldest_\name@GOTPCREL(%rip)
	.cfi_endproc
	.size	\name, . - \name
	.symver	oldest_\name, \name@GLIBC_2.2.5
.endm

	oldest	dlsym
	oldest	dlerror
	oldest	dlclose
	oldest	dladdr
	oldest	pthread_key_create
	oldest	__pthread_key_create
	oldest	pthread_key_delete
	oldest	pthread_once
	oldest	pthread_setspecific
	oldest	pthread_testcancel

/* pid_t gettid(void), which glibc has since 2.30. */
	.globl	gettid
	.hidden	gettid
	.type	gettid, @function
	.p2align 4
gettid:
	.cfi_startproc
	movl	$186, %eax
	syscall
	ret
	.cfi_endproc
	.size	gettid, . - gettid

	.section .note.GNU-stack, "", @progbits
