// SPDX-License-Identifier: BSD-2-Clause-Patent
/*
 * The real functions behind our exports: the next definition in the loader's
 * search order (which may be another preloaded tool's), found at the first use.
 */
#include <dlfcn.h>
#include <errno.h>

#include "ops.h"
#include "pil.h"

void *pil_real[PIL_SYM_COUNT];

/* Answers for a function that this libc does not have. */
static long missing(void)
{
	errno = ENOSYS;
	return -1;
}

/*
 * Finds a real function. Takes the loader's lock, allocates nothing on success.
 * Two threads may both look; they find the same.
 */
void *pil_find(unsigned sym, const char *name)
{
	int saved = errno;
	void *found = dlsym(RTLD_NEXT, name);

	if (!found)
		found = (void *)missing;
	__atomic_store_n(&pil_real[sym], found, __ATOMIC_RELEASE);
	errno = saved;
	return found;
}
