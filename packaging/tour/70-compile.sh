#!/usr/bin/env bash
# gcc: compile and link a program
set -eu
cd "$1"
cat >hello.c <<'C'
#include <stdio.h>
int main(void)
{
	puts("hello");
	return 0;
}
C
gcc -O1 -c hello.c
gcc -o hello hello.o
cp hello "${TMPDIR:-/tmp}/pil4dfs-tour-hello.$$"
"${TMPDIR:-/tmp}/pil4dfs-tour-hello.$$"
rm "${TMPDIR:-/tmp}/pil4dfs-tour-hello.$$"
size hello | awk 'NR == 2 {print ($1 > 0)}'
