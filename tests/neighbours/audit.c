/* An audit module: sees every object, wants to hear of nothing more. */
#include <link.h>
#include <stdint.h>

unsigned int la_version(unsigned int version)
{
	return version;
}

unsigned int la_objopen(struct link_map *map, Lmid_t space, uintptr_t *cookie)
{
	(void)map, (void)space, (void)cookie;
	return 0;
}
