#!/bin/bash
# The dynamic loader called by name, and ldd: programs and libraries here, by run path and by search path.
set -u
export CCACHE_DISABLE=1; mkdir lib other bin; show() { "$@"; echo "= $?"; }
ld=$(readelf -lW /bin/true | sed -n 's/.*interpreter: \(.*\)]/\1/p'); [ -x "$ld" ] || exit 77
echo 'int one(void) { return 1; }' > one.c; echo 'int two(void) { return 2; }' > two.c
cat > main.c <<'END'
#include <stdio.h>
#include <string.h>
int one(void); int two(void);
int main(int c, char **v) { char *s = strrchr(v[0], '/'); printf("%s %d: %d\n", s ? s + 1 : v[0], c, one() + two()); return c; }
END
gcc -shared -fPIC -o lib/libone.so one.c && gcc -shared -fPIC -o other/libtwo.so two.c && gcc -o bin/main main.c -Llib -Lother -lone -ltwo -Wl,-rpath,'$ORIGIN/../lib' || exit 1
echo '#include <stdio.h>
int main(void) { puts("plain"); return 0; }' | gcc -o bin/plain -x c - && gcc -o kmain main.c -Llib -Lother -lone -ltwo; mv kmain "$TMPDIR/kmain.$$"
show "$ld" bin/plain; show "$ld" ./bin/plain a b; show "$ld" "$PWD/bin/plain"; show "$ld" --inhibit-cache -- bin/plain 2> /dev/null
show "$ld" bin/main 2> /dev/null; LD_LIBRARY_PATH=$PWD/other show "$ld" bin/main x; LD_LIBRARY_PATH=other show "$ld" bin/main x y; show "$ld" --library-path other bin/main x
show "$ld" --library-path other --argv0 /n/named bin/main; (cd bin; show "$ld" --library-path "$OLDPWD/other:/nowhere" ./main); show "$ld" --library-path "$PWD/lib:$PWD/other" "$TMPDIR/kmain.$$" k | sed 's/kmain[.0-9]*/kmain/'
LD_LIBRARY_PATH=$PWD/lib:$PWD/other show "$ld" "$TMPDIR/kmain.$$" | sed 's/kmain[.0-9]*/kmain/'; show "$ld" bin/nothing 2> /dev/null; show "$ld" lib 2> /dev/null; show "$ld" main.c 2> /dev/null; show "$ld" --verify bin/plain; show "$ld" --verify main.c 2> /dev/null
chmod 644 bin/plain; show "$ld" bin/plain; chmod 0 bin/plain; [ "$(id -u)" = 0 ] || show "$ld" bin/plain 2> /dev/null; chmod 755 bin/plain
names() { sed -n 's/^[[:space:]]*\([a-z0-9+.-]*\) => \(not found\)\{0,1\}.*/\1 \2/p' | grep -v pil4dfs | LC_ALL=C sort; }
show ldd bin/plain | names; ldd bin/main | names; LD_LIBRARY_PATH=other ldd "$PWD/bin/main" | names; ldd lib/libone.so | names; ldd main.c 2>&1 | grep -c 'not a dynamic'; ldd bin/nothing 2>&1 | grep -c 'No such'; "$ld" --list bin/main 2> /dev/null | names
ldd bin/main > out; names < out; LD_TRACE_LOADED_OBJECTS=1 bin/main | names; echo 'main' | tr a-z A-Z > upper; "$ld" /bin/cat upper; rm -f "$TMPDIR/kmain.$$" out; rm -rf bin lib other
