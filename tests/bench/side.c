/* What the programs of the bench share (side.h). */
#define _GNU_SOURCE
#include "side.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

char block[BLOCK];
char names[NAMES][16];

void die(const char *what)
{
	fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(errno));
	exit(1);
}

void *symbol(void *lib, const char *name)
{
	void *p = dlsym(lib, name);

	if (!p)
		die(name);
	return p;
}

void make_up_names(void)
{
	int i;

	for (i = 0; i < NAMES; i++)
		snprintf(names[i], sizeof(names[i]), "n%d", i);
}

double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}
