/*
 * The bare calls: what a program written for DFS itself would do, on handles of its own. The ABI is that
 * of libdaos and libdfs; names and types as their headers have them.
 */
#ifndef BARE_H
#define BARE_H

#include <stdbool.h>

/* Connects by D_IL_POOL and D_IL_CONTAINER, and opens `dirname` of the root and "file" in it. */
void bare_connect(const char *dirname);

/* The trees of compare.c in it: its directories are opened once, as a program written for DFS would. */
#define DEEP "deep/2/3/4/5"
#define WIDE 50
void bare_trees(void);

/* Each makes the DFS calls that the POSIX call of its name comes down to. False: failed. `i` counts. */
bool bare_pread(int i);
bool bare_pwrite(int i);
bool bare_read(int i);
bool bare_write(int i);
bool bare_size(int i);
bool bare_fstat(int i);
bool bare_stat(int i);
bool bare_missing(int i);
bool bare_open(int i);
bool bare_create(int i);
bool bare_small(int i);
bool bare_unlink(int i);
bool bare_stat_of(int i); /* of names[i], as the next */
bool bare_open_of(int i);
bool bare_list(int i);
bool bare_mkdir(int i);
bool bare_deep(int i);
bool bare_wide(int i);
bool bare_spread(int i);
bool bare_large_read(int i);
bool bare_large_write(int i);

#endif
