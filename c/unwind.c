// SPDX-License-Identifier: BSD-2-Clause-Patent
/*
 * What libgcc's unwinder asks libc from glibc 2.35 on: which object holds an address. The unwinder
 * is linked into the library for Rust's panics alone, which end at the boundary of Rust, so that it
 * has to know one object: this. The answer takes no lock, and older C libraries need not have one.
 */
#include <dlfcn.h>
#include <link.h>

#include "pil.h"

#ifdef DLFO_STRUCT_HAS_EH_DBASE
extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

/* The hidden name keeps it ours: nobody else's unwinder comes here. */
__attribute__((visibility("hidden"))) int _dl_find_object(void *address, struct dl_find_object *found)
{
	const char *start = (const char *)&__ehdr_start, *bias = NULL;
	const ElfW(Phdr) *p = (const void *)(start + __ehdr_start.e_phoff);
	const ElfW(Phdr) *end = p + __ehdr_start.e_phnum, *frames = NULL, *last = NULL;

	for (; p < end; p++) {
		if (p->p_type == PT_LOAD && !bias)
			bias = start - p->p_vaddr;
		if (p->p_type == PT_LOAD)
			last = p;
		if (p->p_type == PT_GNU_EH_FRAME)
			frames = p;
	}
	if (!frames || !last || (const char *)address < start ||
	    (const char *)address >= bias + last->p_vaddr + last->p_memsz)
		return -1;
	*found = (struct dl_find_object){
		.dlfo_map_start = (void *)start,
		.dlfo_map_end = (void *)(bias + last->p_vaddr + last->p_memsz),
		.dlfo_eh_frame = (void *)(bias + frames->p_vaddr),
	};
	return 0;
}
#endif
