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
 * What is loaded by dlopen without RTLD_GLOBAL, as the MPI beneath a module of
 * Python, is in no search order: it is looked for among the libraries of the
 * caller's own library.
 */
static void *beneath(const void *caller, const char *name)
{
	void *(*open)(const char *, int) = (void *(*)(const char *, int))pil_real[PIL_SYM_dlopen];
	Dl_info of_caller, of_found, of_us;
	void *library, *found;

	if (!open)
		open = (void *(*)(const char *, int))pil_find(PIL_SYM_dlopen, "dlopen");
	if (!caller || !dladdr(caller, &of_caller) || !of_caller.dli_fname)
		return NULL;
	library = open(of_caller.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
	if (!library)
		return NULL;
	found = dlsym(library, name);
	dlclose(library);
	/* A library that is linked with us finds ourselves. */
	if (found && dladdr(found, &of_found) && dladdr(pil_real, &of_us) &&
	    of_found.dli_fbase == of_us.dli_fbase)
		return NULL;
	return found;
}

/*
 * Finds a real function. Takes the loader's lock, allocates nothing on success.
 * Two threads may both look; they find the same.
 */
void *pil_find_for(unsigned sym, const char *name, const void *caller)
{
	int saved = errno;
	void *found = dlsym(RTLD_NEXT, name);

	if (!found && caller)
		found = beneath(caller, name);
	if (!found)
		found = (void *)missing;
	__atomic_store_n(&pil_real[sym], found, __ATOMIC_RELEASE);
	errno = saved;
	return found;
}

void *pil_find(unsigned sym, const char *name)
{
	return pil_find_for(sym, name, NULL);
}
