#!/bin/bash
# Programs and libraries stored here: PIE, non-PIE, RUNPATH and $ORIGIN, DT_NEEDED, LD_LIBRARY_PATH, dlopen, refusals.
set -u
export TMPDIR=$PWD CCACHE_DISABLE=1
mkdir bin lib opt src
cat > src/a.c <<'END'
int b(void); int a(void) { return 10 + b(); }
END
echo 'int b(void) { return 1; }' > src/b.c; echo 'int b(void) { return 2; }' > src/b2.c
cat > src/main.c <<'END'
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int a(void);
int main(int argc, char **argv)
{
	printf("a %d argc %d argv0 %s", a(), argc, strrchr(argv[0], '/') ? strrchr(argv[0], '/') : argv[0]);
	for (int i = 1; i < argc; i++) {
		void *h = dlopen(argv[i], RTLD_NOW);
		int (*f)(void) = h ? (int (*)(void))dlsym(h, "b") : NULL;
		printf(" %s", f ? "loaded" : "not loaded");
		if (f) printf(" %d", f());
	}
	puts("");
	return 0;
}
END
gcc -shared -fPIC -Wl,-soname,libb.so.1 -o lib/libb.so.1 src/b.c; ln -s libb.so.1 lib/libb.so
gcc -shared -fPIC -Wl,-soname,liba.so.1 -o lib/liba.so.1 src/a.c -Llib -lb -Wl,-rpath,'$ORIGIN'; ln -s liba.so.1 lib/liba.so
gcc -shared -fPIC -Wl,-soname,libb.so.1 -o opt/libb.so.1 src/b2.c; gcc -shared -fPIC -o opt/plug.so src/b2.c
gcc -pie -fPIE -o bin/pie src/main.c -Llib -la -Wl,-rpath,'$ORIGIN/../lib' -ldl; gcc -no-pie -o bin/nopie src/main.c -Llib -la -Wl,-rpath,"$PWD/lib" -ldl; gcc -o bin/oldrpath src/main.c -Llib -la -Wl,--disable-new-dtags,-rpath,'$ORIGIN/../lib' -ldl
gcc -o bin/bare src/main.c -Llib -la -Wl,-rpath-link,lib -ldl
for p in pie nopie oldrpath; do bin/$p; "$PWD/bin/$p" x; (cd bin; ./$p; PATH=$PWD; $p); (cd /; "$OLDPWD/bin/$p" "$OLDPWD/opt/plug.so" "$OLDPWD/opt/none.so"); done
bin/bare 2>&1 | grep -c liba.so.1; echo "unresolved ${PIPESTATUS[0]}"; LD_LIBRARY_PATH=$PWD/lib bin/bare; LD_LIBRARY_PATH=lib bin/bare; (cd lib; LD_LIBRARY_PATH=. ../bin/bare); LD_LIBRARY_PATH=/usr/lib:$PWD/opt:$PWD/lib bin/pie
LD_LIBRARY_PATH=$PWD/lib sh -c 'bin/bare; echo "${LD_LIBRARY_PATH#"$PWD"}"'; env -u LD_LIBRARY_PATH bin/bare 2> /dev/null; echo $?
(cd opt; ../bin/pie ./plug.so "$PWD/plug.so" plug.so); LD_LIBRARY_PATH=$PWD/opt bin/pie libb.so.1
LD_PRELOAD="${LD_PRELOAD:+$LD_PRELOAD:}$PWD/opt/plug.so" bin/pie 2> /dev/null; echo $?
ln -s pie bin/linked; bin/linked; ln -s "$PWD/bin" binlink; binlink/pie; cp bin/pie 'bin/with space'; 'bin/with space'; ln bin/pie bin/hard 2> /dev/null || cp bin/pie bin/hard; bin/hard
nm -D lib/liba.so.1 | grep -c ' T a'
time -p bin/pie > /dev/null 2> /dev/null; for i in 1 2 3 4 5 6 7 8; do bin/pie > "out$i" & done; wait; cat out? | sort | uniq -c
find bin -name 'p*' -exec {} \; ; printf '%s\n' bin/pie bin/nopie | xargs -n1 -P2 sh -c '$0' | sort | uniq -c; (exec bin/pie); (exec -a other bin/pie); timeout 5 bin/pie; nice bin/pie; env -i bin/pie; setsid -w bin/pie
# Refusals.
bin/none; echo $?; chmod 644 bin/hard; bin/hard 2> /dev/null; echo "no permission $?"; chmod 755 bin/hard; bin 2> /dev/null; ./bin 2> /dev/null; echo "directory $?"; : > bin/empty; chmod 755 bin/empty; bin/empty; echo "empty $?"
head -c 100 bin/pie > bin/cut; chmod 755 bin/cut; bin/cut 2> /dev/null; echo "cut $?"; printf '\177ELF' > bin/tiny; chmod 755 bin/tiny; bin/tiny 2> /dev/null; echo "tiny $?"; bin/pie/x 2> /dev/null; echo "through a file $?"
python3 -I - <<'END'
import os
for name in ("cut", "tiny", "empty", "none", "hard/x", "."):
    try:
        os.execv("bin/" + name, [name])
    except OSError as e:
        print(name, e.errno)
END
cp bin/pie bin/replaced; bin/replaced > r1; gcc -o bin/new src/main.c -Llib -la -Wl,-rpath,'$ORIGIN/../opt:$ORIGIN/../lib' -ldl; mv bin/new bin/replaced; bin/replaced; cp bin/pie bin/replaced; bin/replaced; strip bin/replaced; bin/replaced
gcc -static -o bin/static src/main.c src/a.c src/b.c -ldl 2> /dev/null; [ -x bin/static ] && bin/static
gcc -D_GNU_SOURCE -include errno.h -xc -o bin/self - <<'END'
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(void)
{
	char exe[PATH_MAX] = "", cwd[PATH_MAX] = "", comm[32] = "";
	int n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	FILE *f = fopen("/proc/self/comm", "r");
	if (f) { if (!fgets(comm, sizeof(comm), f)) comm[0] = 0; fclose(f); }
	if (!getcwd(cwd, sizeof(cwd))) return 1;
	printf("exe %s name %s comm %s", n > 0 && strncmp(exe, cwd, strlen(cwd)) == 0 ? exe + strlen(cwd) : exe, program_invocation_short_name, comm);
	char *real = realpath("/proc/self/exe", NULL);
	printf("real %s\n", real && strncmp(real, cwd, strlen(cwd)) == 0 ? real + strlen(cwd) : "elsewhere");
	return 0;
}
END
bin/self; PATH=$PWD/bin self; ln -s self bin/selflink; bin/selflink
rm -rf bin lib opt binlink err
