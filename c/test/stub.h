/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A Rust side of a few lines, for tests of the C entry alone: descriptor 100 and
 * paths below /pil are ours, descriptor 101 is hidden; `stub` says how to answer.
 */
#ifndef PIL_TEST_STUB_H
#define PIL_TEST_STUB_H

#include <stdio.h>
#include <stdlib.h>

#include "../pil.h"
#include "ops.h"

#define OURS 100
#define HIDDEN 101

struct stub {
	long answer;                       /* what pil_dispatch returns */
	int op;                            /* what it was called with ... */
	long args[6];
	unsigned calls, afters;
	long after_ret;
	unsigned depth;                    /* ... at which depth */
	void (*during)(const long args[6]); /* runs inside */
	size_t stack;                      /* bytes of stack to use */
};

extern struct stub stub;

void stub_start(void);
long site(long nr, long a, long b, long c, long d, long e, long f);

#define CHECK(expr)                                                                     \
	do {                                                                            \
		if (!(expr)) {                                                          \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #expr);      \
			exit(1);                                                        \
		}                                                                       \
	} while (0)

#endif
