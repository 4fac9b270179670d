/*
 * Every register that the kernel keeps over a system call must survive a file
 * call made inside libc: compilers keep live values in them (-fipa-ra). The
 * site is reached through libc's own functions; this program looks from just
 * outside by a call of the raw kind: the registers are filled, a system call
 * instruction inside libc (syscall(2), and close's and lseek's wrappers) runs,
 * and what the function itself does not use is compared.
 */
#include "t.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>

struct vectors {
	unsigned char reg[16][64];
} __attribute__((aligned(64)));

static struct vectors before, after;
static bool have_avx;

static unsigned long rbx_after, rbp_after, r12_after, r13_after, r14_after,
	r15_after;

#define LOAD(n) "movups " #n "*64(%[in]), %%xmm" #n "\n\t"
#define SAVE(n) "movups %%xmm" #n ", " #n "*64(%[out])\n\t"
#define LOADY(n) "vmovups " #n "*64(%[in]), %%ymm" #n "\n\t"
#define SAVEY(n) "vmovups %%ymm" #n ", " #n "*64(%[out])\n\t"
/* clang-format off */
#define ALL(OP)                                                                \
	OP(0) OP(1) OP(2) OP(3) OP(4) OP(5) OP(6) OP(7)                        \
	OP(8) OP(9) OP(10) OP(11) OP(12) OP(13) OP(14) OP(15)
/* clang-format on */

#define XMM_CLOBBERS                                                           \
	"xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",        \
		"xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",   \
		"xmm15"

/* Calls fn(a, b, c) with all vectors filled; callee-saved ones are checked. */
static long call_filled(void *fn, long a, long b, long c)
{
	register long rax __asm__("rax") = 0;
	register long rdi __asm__("rdi") = a;
	register long rsi __asm__("rsi") = b;
	register long rdx __asm__("rdx") = c;
	register void *target __asm__("r10") = fn;
	register void *in __asm__("r8") = &before;

	__asm__ volatile(
		"push %%rbx\n\tpush %%rbp\n\tpush %%r12\n\tpush %%r13\n\t"
		"push %%r14\n\tpush %%r15\n\tmov %%rsp, %%rbx\n\t"
		"and $-64, %%rsp\n\tpush %%rbx\n\tpush %%rbx\n\t" ALL(
			LOAD) "mov $0x1111, %%rbx\n\tmov $0x2222, %%rbp\n\t"
			      "mov $0x3333, %%r12\n\tmov $0x4444, %%r13\n\t"
			      "mov $0x5555, %%r14\n\tmov $0x6666, %%r15\n\t"
			      "call *%%r10\n\t"
			      "mov %%rbx, %[rbx]\n\tmov %%rbp, %[rbp]\n\t"
			      "mov %%r12, %[r12]\n\tmov %%r13, %[r13]\n\t"
			      "mov %%r14, %[r14]\n\tmov %%r15, %[r15]\n\t"
			      "lea %[after], %%r8\n\t"
			      "movups %%xmm0, 0*64(%%r8)\n\tmovups %%xmm1, "
			      "1*64(%%r8)\n\t"
			      "movups %%xmm2, 2*64(%%r8)\n\tmovups %%xmm3, "
			      "3*64(%%r8)\n\t"
			      "movups %%xmm4, 4*64(%%r8)\n\tmovups %%xmm5, "
			      "5*64(%%r8)\n\t"
			      "movups %%xmm6, 6*64(%%r8)\n\tmovups %%xmm7, "
			      "7*64(%%r8)\n\t"
			      "movups %%xmm8, 8*64(%%r8)\n\tmovups %%xmm9, "
			      "9*64(%%r8)\n\t"
			      "movups %%xmm10, 10*64(%%r8)\n\tmovups %%xmm11, "
			      "11*64(%%r8)\n\t"
			      "movups %%xmm12, 12*64(%%r8)\n\tmovups %%xmm13, "
			      "13*64(%%r8)\n\t"
			      "movups %%xmm14, 14*64(%%r8)\n\tmovups %%xmm15, "
			      "15*64(%%r8)\n\t"
			      "pop %%rbx\n\tmov %%rbx, %%rsp\n\t"
			      "pop %%r15\n\tpop %%r14\n\tpop %%r13\n\tpop "
			      "%%r12\n\t"
			      "pop %%rbp\n\tpop %%rbx\n\t"
		: "+r"(rax), "+r"(rdi), "+r"(rsi), "+r"(rdx),
		  "+r"(target), [in] "+r"(in), [rbx] "=m"(rbx_after),
		  [rbp] "=m"(rbp_after), [r12] "=m"(r12_after),
		  [r13] "=m"(r13_after), [r14] "=m"(r14_after),
		  [r15] "=m"(r15_after), [after] "=m"(after)
		: "m"(before)
		: "rcx", "r9", "r11", "memory", "cc", XMM_CLOBBERS);
	return rax;
}

/* The upper halves too, where the machine has them. */
static long call_filled_ymm(void *fn, long a, long b, long c)
{
	register long rax __asm__("rax") = 0;
	register long rdi __asm__("rdi") = a;
	register long rsi __asm__("rsi") = b;
	register long rdx __asm__("rdx") = c;
	register void *target __asm__("r10") = fn;
	register void *in __asm__("r8") = &before;

	__asm__ volatile(
		"push %%rbx\n\tmov %%rsp, %%rbx\n\tand $-64, %%rsp\n\t" ALL(
			LOADY) "call *%%r10\n\t"
			       "lea %[after], %%r8\n\t"
			       "vmovups %%ymm0, 0*64(%%r8)\n\tvmovups %%ymm1, "
			       "1*64(%%r8)\n\t"
			       "vmovups %%ymm2, 2*64(%%r8)\n\tvmovups %%ymm3, "
			       "3*64(%%r8)\n\t"
			       "vmovups %%ymm4, 4*64(%%r8)\n\tvmovups %%ymm5, "
			       "5*64(%%r8)\n\t"
			       "vmovups %%ymm6, 6*64(%%r8)\n\tvmovups %%ymm7, "
			       "7*64(%%r8)\n\t"
			       "vmovups %%ymm8, 8*64(%%r8)\n\tvmovups %%ymm9, "
			       "9*64(%%r8)\n\t"
			       "vmovups %%ymm10, 10*64(%%r8)\n\tvmovups "
			       "%%ymm11, 11*64(%%r8)\n\t"
			       "vmovups %%ymm12, 12*64(%%r8)\n\tvmovups "
			       "%%ymm13, 13*64(%%r8)\n\t"
			       "vmovups %%ymm14, 14*64(%%r8)\n\tvmovups "
			       "%%ymm15, 15*64(%%r8)\n\t"
			       "vzeroupper\n\tmov %%rbx, %%rsp\n\tpop %%rbx\n\t"
		: "+r"(rax), "+r"(rdi), "+r"(rsi), "+r"(rdx),
		  "+r"(target), [in] "+r"(in), [after] "=m"(after)
		: "m"(before)
		: "rcx", "r9", "r11", "memory", "cc", XMM_CLOBBERS);
	return rax;
}

static void fill(void)
{
	t_fill(&before, sizeof(before), 0, 77);
	memset(&after, 0, sizeof(after));
	rbx_after = rbp_after = r12_after = r13_after = r14_after = r15_after =
		0;
}

static void callee_saved(const char *name)
{
	bool good = rbx_after == 0x1111 && rbp_after == 0x2222 &&
		    r12_after == 0x3333 && r13_after == 0x4444 &&
		    r14_after == 0x5555 && r15_after == 0x6666;

	if (!good)
		t_fail(T_HERE, "%s: a callee-saved register changed", name);
}

static void vectors_kept(const char *name, size_t width)
{
	for (int i = 0; i < 16; i++)
		if (memcmp(before.reg[i], after.reg[i], width) != 0)
			t_fail(T_HERE, "%s: %cmm%d changed", name,
			       width == 16 ? 'x' : 'y', i);
}

/*
 * syscall(2) touches no vector register, so that all of them must be as
 * before - provided it is libc's own code that reaches the site. The exported
 * shims follow the C calling convention, which lets vectors go: the address
 * comes from libc itself, past every interposer.
 */
#include <dlfcn.h>

static void *of_libc(const char *name)
{
	static void *libc;

	if (!libc)
		libc = MUST_PTR(dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD));
	return MUST_PTR(dlsym(libc, name));
}

struct probe {
	const char *name;
	long a, b, c, want;
};

static void probe_all(long fd, const char *path, struct stat *st, bool ymm)
{
	char buf[16];
	struct probe probes[] = {
		{"lseek", fd, 1, SEEK_SET, 1},
		{"read", fd, (long)buf, 2, 2},
		{"write", fd, (long)"zz", 2, 2},
		{"fsync", fd, 0, 0, 0},
		{"dup", fd, 0, 0, -2},
		{"chmod", (long)path, 0600, 0, 0},
		{"fchmod", fd, 0644, 0, 0},
		{"stat", (long)path, (long)st, 0, 0},
		{"fstat", fd, (long)st, 0, 0},
		{"access", (long)path, R_OK, 0, 0},
		{"ftruncate", fd, 100, 0, 0},
		{"truncate", (long)path, 50, 0, 0},
		{"umask", 022, 0, 0, 022},
	};

	for (size_t i = 0; i < sizeof(probes) / sizeof(probes[0]); i++) {
		struct probe *p = &probes[i];
		void *fn = of_libc(p->name);

		fill();
		long got = ymm ? call_filled_ymm(fn, p->a, p->b, p->c)
			       : call_filled(fn, p->a, p->b, p->c);

		if (p->want == -2) {
			CHECK((int)got >= 0);
			close((int)got);
		} else if ((int)got != p->want) {
			t_fail(T_HERE, "%s answered %ld", p->name, got);
		}
		if (!ymm)
			callee_saved(p->name);
		vectors_kept(p->name, ymm ? 32 : 16);
	}
}

static void xmm(void)
{
	struct stat st;

	t_put(t_at("f"), "0123456789");
	int fd = MUST(open(t_at("f"), O_RDWR));

	probe_all(fd, t_at("f"), &st, false);
	CHECK_OK(close(fd));
}

static void ymm(void)
{
	struct stat st;

	__builtin_cpu_init();
	have_avx = __builtin_cpu_supports("avx");
	if (!have_avx)
		SKIP_CASE("no AVX");
	t_put(t_at("f"), "0123456789");
	int fd = MUST(open(t_at("f"), O_RDWR));

	probe_all(fd, t_at("f"), &st, true);
	CHECK_OK(close(fd));
}

/* The control words of the floating-point units. */
static void control_words(void)
{
	unsigned int csr, csr_after;
	unsigned short cw, cw_after;

	__asm__ volatile("stmxcsr %0" : "=m"(csr));
	__asm__ volatile("fnstcw %0" : "=m"(cw));
	unsigned int odd_csr = csr ^ 0x6000; /* another rounding */
	unsigned short odd_cw = cw ^ 0x0c00;

	__asm__ volatile("ldmxcsr %0" ::"m"(odd_csr));
	__asm__ volatile("fldcw %0" ::"m"(odd_cw));
	int fd = open(t_at("f"), O_RDWR | O_CREAT, 0644);
	ssize_t n = write(fd, "x", 1);
	int closed = close(fd);

	__asm__ volatile("stmxcsr %0" : "=m"(csr_after));
	__asm__ volatile("fnstcw %0" : "=m"(cw_after));
	__asm__ volatile("ldmxcsr %0" ::"m"(csr));
	__asm__ volatile("fldcw %0" ::"m"(cw));
	CHECK_EQ(n, 1);
	CHECK_EQ(closed, 0);
	CHECK_EQ(csr_after & 0xffc0, odd_csr & 0xffc0);
	CHECK_EQ(cw_after, odd_cw);
}

/* What a compiler may keep over calls in one function: sums over many calls. */
static void arithmetic(void)
{
	double sum = 0, x = 1.0;

	for (int i = 0; i < 200; i++) {
		FILE *f = fopen(t_at("f"), i % 2 ? "w" : "a");

		x = x * 1.0000001 + i;
		if (f) {
			fprintf(f, "%d", i);
			fclose(f);
		}
		sum += x / 3.0;
	}
	double again = 0, y = 1.0;

	for (int i = 0; i < 200; i++) {
		y = y * 1.0000001 + i;
		again += y / 3.0;
	}
	CHECK(sum == again);
}

T_MAIN(CASE(xmm), CASE(ymm), CASE(control_words), CASE(arithmetic))
#else
static void elsewhere(void)
{
	SKIP_CASE("x86-64 only");
}

T_MAIN(CASE(elsewhere))
#endif
