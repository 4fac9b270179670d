/* What the programs of the bench share: the block, the names of new files, the clock, and how they end. */
#ifndef SIDE_H
#define SIDE_H

#define BLOCK 4096
#define LARGE_BLOCK (1 << 20)
#define NAMES 2000

extern char block[BLOCK];
extern char names[NAMES][16];

__attribute__((noreturn)) void die(const char *what);
void *symbol(void *lib, const char *name);
void make_up_names(void);
double now(void); /* nanoseconds */

#endif
