/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What differs between processors: the system call instruction, and loads and
 * stores of the application's memory that may fault. Such an instruction has an
 * entry in the section pil_extable; the SIGSEGV thunk finds it there and goes on
 * at the fix-up, as the kernel's exception tables do.
 */
#ifndef PIL_ARCH_H
#define PIL_ARCH_H

#include <stdint.h>

struct pil_extable {
	int32_t insn;  /* relative to this word */
	int32_t fixup; /* relative to this word */
};

#if defined(__x86_64__)

static inline long pil_syscall(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "0"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory", "cc");
	return ret;
}

/*
 * Tells valgrind of a stack of ours, in the way its manual gives: instructions that do nothing. It
 * would take the way there for a very large frame, and call what lies between undefined. The end
 * belongs to the stack: an empty one points there.
 */
static inline void pil_stack_is_known(const char *low, const char *end)
{
	const volatile uint64_t request[6] = { 0x1501, (uint64_t)low, (uint64_t)end, 0, 0, 0 };
	uint64_t answer = 0;

	__asm__ volatile("rolq $3, %%rdi; rolq $13, %%rdi; rolq $61, %%rdi; rolq $51, %%rdi\n"
			 "xchgq %%rbx, %%rbx"
			 : "+d"(answer)
			 : "a"(&request[0])
			 : "cc", "memory");
}

#define PIL_FIXUP                                                                                  \
	".pushsection .text.pil_fixup,\"ax\",@progbits\n"                                          \
	"3:	movl $1, %[bad]\n"                                                                 \
	"	jmp 2b\n"                                                                          \
	".popsection\n"                                                                            \
	".pushsection pil_extable,\"a\",@progbits\n"                                               \
	"	.balign 4\n"                                                                       \
	"	.long 1b - ., 3b - .\n"                                                            \
	".popsection\n"

/* Loads an aligned word; *bad becomes 1 when it cannot be read. */
static inline uint64_t pil_load_word(const uint64_t *p, int *bad)
{
	uint64_t v = 0;

	__asm__ volatile("1:	movq %[mem], %[v]\n2:\n" PIL_FIXUP
			 : [v] "+r"(v), [bad] "+r"(*bad)
			 : [mem] "m"(*p));
	return v;
}

static inline uint8_t pil_load_byte(const char *p, int *bad)
{
	uint32_t v = 0;

	__asm__ volatile("1:	movzbl %[mem], %[v]\n2:\n" PIL_FIXUP
			 : [v] "+r"(v), [bad] "+r"(*bad)
			 : [mem] "m"(*p));
	return (uint8_t)v;
}

/* Touches a byte for writing without changing it, atomically. */
static inline void pil_touch_byte(char *p, int *bad)
{
	__asm__ volatile("1:	lock orb $0, %[mem]\n2:\n" PIL_FIXUP
			 : [bad] "+r"(*bad), [mem] "+m"(*p)
			 :
			 : "cc");
}

#define PIL_CONTEXT_PC(uc) ((uc)->uc_mcontext.gregs[REG_RIP])

#elif defined(__aarch64__)

static inline long pil_syscall(long nr, long a, long b, long c, long d, long e, long f)
{
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;

	__asm__ volatile("svc #0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory", "cc");
	return x0;
}

#define PIL_FIXUP                                                                                  \
	".pushsection .text.pil_fixup,\"ax\",%%progbits\n"                                         \
	"3:	mov %w[bad], #1\n"                                                                 \
	"	b 2b\n"                                                                            \
	".popsection\n"                                                                            \
	".pushsection pil_extable,\"a\",%%progbits\n"                                              \
	"	.balign 4\n"                                                                       \
	"	.long 1b - ., 3b - .\n"                                                            \
	".popsection\n"

static inline uint64_t pil_load_word(const uint64_t *p, int *bad)
{
	uint64_t v = 0;

	__asm__ volatile("1:	ldr %[v], %[mem]\n2:\n" PIL_FIXUP
			 : [v] "+r"(v), [bad] "+r"(*bad)
			 : [mem] "m"(*p));
	return v;
}

static inline uint8_t pil_load_byte(const char *p, int *bad)
{
	uint32_t v = 0;

	__asm__ volatile("1:	ldrb %w[v], %[mem]\n2:\n" PIL_FIXUP
			 : [v] "+r"(v), [bad] "+r"(*bad)
			 : [mem] "m"(*p));
	return (uint8_t)v;
}

static inline void pil_touch_byte(char *p, int *bad)
{
	uint32_t v, failed;

	/* A load and a conditional store of the same byte, as atomic as the pair allows. */
	__asm__ volatile("1:	ldxrb %w[v], [%[p]]\n"
			 "	stxrb %w[f], %w[v], [%[p]]\n2:\n" PIL_FIXUP
			 ".pushsection pil_extable,\"a\",%%progbits\n"
			 "	.long 1b + 4 - ., 3b - .\n"
			 ".popsection\n"
			 : [v] "=&r"(v), [f] "=&r"(failed), [bad] "+r"(*bad)
			 : [p] "r"(p)
			 : "memory");
}

#define PIL_CONTEXT_PC(uc) ((uc)->uc_mcontext.pc)

#else
#error "no system call instruction for this processor yet"
#endif

#endif
