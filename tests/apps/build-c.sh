#!/bin/bash
# A C project built where it lies: a configure-style script, make -j2 with generated files, rebuild, install, check.
set -u
export TMPDIR=$PWD/tmp CCACHE_DISABLE=1; mkdir tmp src m
cat > configure <<'END'
#!/bin/sh
# What an autoconf script does: try compilers, conftest files, here-documents, config.status.
exec 5> config.log; echo "$0 $*" >&5; prefix=/usr/local
for arg; do case $arg in --prefix=*) prefix=${arg#*=};; esac; done
check() { # name, program text
	cat > conftest.c; rm -f conftest conftest.o
	if ${CC-gcc} -o conftest conftest.c >&5 2>&1 && ./conftest > conftest.out 2>&5 5>&-; then echo "checking $1... yes"; echo "#define HAVE_$1 1" >> confdefs.h
	else echo "checking $1... no"; echo "/* #undef HAVE_$1 */" >> confdefs.h; fi
	rm -f conftest conftest.*
}
: > confdefs.h
check STDIO <<EOT
#include <stdio.h>
int main(void) { puts("x"); return 0; }
EOT
check NOTHING <<EOT
#include <nothing.h>
int main(void) { return 0; }
EOT
check FAILS <<EOT
int main(void) { return 1; }
EOT
cat > config.status <<EOT
#!/bin/sh
[ \$# -gt 0 ] || set -- Makefile config.h
for file; do case \$file in
config.h) cmp -s confdefs.h config.h || cp confdefs.h config.h; echo "creating config.h";;
*) sed -e 's|@prefix@|$prefix|g' < \$file.in > \$file.tmp && mv -f \$file.tmp \$file; echo "creating \$file";; esac; done
EOT
chmod +x config.status; ./config.status
END
chmod +x configure
cat > Makefile.in <<'END'
prefix = @prefix@
OBJS = $(patsubst %,m/m%.o,1 2 3 4 5 6 7 8 9 10)
all: prog lib/libm.a
prog: main.o $(OBJS) libshared.so
	gcc -o $@ main.o $(OBJS) -L. -lshared -Wl,-rpath,'$$ORIGIN'
libshared.so: src/shared.c
	gcc -shared -fPIC -o $@ $<
lib/libm.a: $(OBJS)
	mkdir -p lib; rm -f $@; ar cr $@ $^
gen: src/gen.c
	gcc -o $@ $<
m/m%.c: gen
	./gen $* > $@.tmp && mv $@.tmp $@
%.o: %.c config.h
	gcc -MMD -I. -c -o $@ $<
main.o: main.c
main.c: src/main.c.in
	sed 's/@N@/10/' $< > $@
check: prog
	@for i in 1 2 3; do ./prog $$i > check.$$i || exit 1; done; cat check.? | sort | uniq -c
install: all
	install -d $(DESTDIR)$(prefix)/bin $(DESTDIR)$(prefix)/lib; install -m 755 prog $(DESTDIR)$(prefix)/bin; install -m 644 libshared.so $(DESTDIR)$(prefix)/bin
clean:
	rm -f *.o m/* prog gen libshared.so main.c check.? *.d; rm -rf lib
-include main.d
END
cat > src/gen.c <<'END'
#include <stdio.h>
int main(int c, char **v) { (void)c; printf("int m%s(void) { return %s; }\n", v[1], v[1]); return 0; }
END
cat > src/main.c.in <<'END'
#include "config.h"
#include <stdio.h>
int m1(void); int m@N@(void); int shared(void);
int main(int argc, char **argv) { printf("%d %d\n", m1() + m@N@() + shared(), argc); (void)argv; return 0; }
END
echo 'int shared(void) { return 100; }' > src/shared.c
./configure --prefix=/opt/x; head -1 config.log; make -s -j 2; echo "make $?"; ./prog; make -s -j 2 check; make -q all; echo "up to date $?"
sleep 1; echo 'int shared(void) { return 200; }' > src/shared.c; make -s -j 2; ./prog; make -s DESTDIR="$PWD/dest" install; dest/opt/x/bin/prog a b; find dest -type f | LC_ALL=C sort
make -n clean | wc -l; mkdir vpath; (cd vpath; ../dest/opt/x/bin/prog); make -s clean; make -s -j 2 CFLAGS=-O2 2>&1 | head -2; ./prog; gcc -o quick src/gen.c && ./quick 7; gcc -x c -c -o quick.o - < src/gen.c; gcc -o quick2 quick.o && ./quick2 8; ls tmp; make -s clean; rm -rf dest quick quick2 quick.o tmp Makefile config.*
