#!/bin/bash
# Compile, archive, link, run; a shared object with dlopen; -pipe and temporary files here.
set -u
export TMPDIR=$PWD/tmp CCACHE_DISABLE=1; mkdir tmp src
cat > src/main.c <<'END'
#include <stdio.h>
#include "lib.h"
int main(int argc, char **argv) { FILE *f = fopen(argv[argc - 1], "r"); char line[80]; if (f && fgets(line, sizeof(line), f)) fputs(line, stdout); printf("%d\n", twice(21)); return 0; }
END
echo 'int twice(int);' > src/lib.h; echo '#include "lib.h"
int twice(int x) { return 2 * x; }' > src/lib.c
gcc -c -o lib.o src/lib.c; echo "cc $?"; gcc -c -O2 -g -Isrc -o main.o src/main.c; echo "cc $?"; ar rcs liblib.a lib.o; echo "ar $?"; ar t liblib.a; ranlib liblib.a
gcc -o prog main.o -L. -llib; echo "ld $?"; ./prog src/main.c; "$PWD"/prog src/lib.h
gcc -pipe -o direct src/main.c src/lib.c; ./direct src/lib.h; size prog | wc -l; strip prog; ./prog src/lib.h; nm liblib.a | grep -c twice; objdump -d lib.o | grep -c twice; readelf -h prog | grep -c ELF; objcopy -O binary lib.o lib.bin; echo "objcopy $?"
gcc -shared -fPIC -o liblib.so src/lib.c; echo "so $?"; gcc -o dyn src/main.c -L. -llib -Wl,-rpath,'$ORIGIN'; ./dyn src/lib.h
cat > dl.c <<'END'
#include <dlfcn.h>
#include <stdio.h>
int main(void) { void *h = dlopen("./liblib.so", RTLD_NOW); if (!h) { puts(dlerror()); return 1; } int (*f)(int) = (int (*)(int))dlsym(h, "twice"); printf("%d\n", f(4)); return 0; }
END
gcc -o dl dl.c -ldl; ./dl; LD_LIBRARY_PATH=$PWD ./dyn src/lib.h
gcc -c -o bad.o nothere.c 2>/dev/null; echo "missing $?"; echo 'syntax error' > bad.c; gcc -c bad.c 2>/dev/null; echo "bad $?"; ls bad.o 2>/dev/null
gcc -MMD -c -Isrc -o dep.o src/main.c; cat dep.d; gcc -E src/lib.c | tail -1; gcc -S -o - src/lib.c | grep -c twice; ls tmp
rm -f prog direct dyn dl ./*.o ./*.a ./*.so lib.bin
