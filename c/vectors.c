// SPDX-License-Identifier: BSD-2-Clause-Patent
/*
 * How pil_on_stack keeps a site's vector registers: asked of the processor once.
 */
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "pil.h"

uint32_t pil_vector_mode; /* 0 fxsave, 1 xsave, 2 xsavec */
uint64_t pil_vector_mask; /* components */
uint64_t pil_vector_size = 512;
uint8_t pil_vector_avx; /* upper halves exist: vzeroupper */

#if defined(__x86_64__)
/* How to keep the vector registers: everything the system saves but tiles and protection keys. */
void pil_vectors_start(void)
{
	uint32_t a, b, c, d, low, high;
	uint64_t mask;

	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
		return; /* fxsave */
	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	mask = ((uint64_t)high << 32 | low) & ~(1ULL << 9 | 1ULL << 17 | 1ULL << 18);
	if (!__get_cpuid_count(0xd, 1, &a, &b, &c, &d))
		return;
	pil_vector_mode = a & 2 ? 2 : 1;
	pil_vector_mask = mask;
	pil_vector_avx = (mask & 4) != 0;
	/* Legacy area and header, then each component at its place in the standard format. */
	pil_vector_size = 576;
	for (uint32_t i = 2; i < 63; i++) {
		if (!(mask >> i & 1) || !__get_cpuid_count(0xd, i, &a, &b, &c, &d))
			continue;
		if (a + b > pil_vector_size)
			pil_vector_size = a + b;
	}
	pil_vector_size = (pil_vector_size + 63) & ~63ULL;
}
#else
void pil_vectors_start(void)
{
}
#endif
