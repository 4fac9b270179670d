// SPDX-License-Identifier: BSD-2-Clause-Patent
/* The linked-in unwinder finds the frames of its own object by c/unwind.c. */
#include <stdio.h>
#include <stdlib.h>
#include <unwind.h>

static int frames;

static _Unwind_Reason_Code count(struct _Unwind_Context *context, void *arg)
{
	(void)context, (void)arg;
	frames++;
	return _URC_NO_REASON;
}

static __attribute__((noinline)) int deeper(int n)
{
	int r = n ? deeper(n - 1) : (int)_Unwind_Backtrace(count, NULL);

	__asm__ volatile("" ::: "memory");
	return r;
}

int main(void)
{
	deeper(10);
	if (frames < 12) {
		fprintf(stderr, "%d frames seen\n", frames);
		return 1;
	}
	return 0;
}
