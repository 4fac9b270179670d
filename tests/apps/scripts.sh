#!/bin/bash
# Scripts by their first line: interpreters here and elsewhere, arguments, nesting, env -S, descriptors, refusals.
set -u
mkdir bin sub; show() { "$@"; echo "= $?"; }
cp /bin/echo bin/echo; cp /bin/dash bin/dash; cp /usr/bin/env bin/env; top=$PWD
make() { cat > "$1"; chmod +x "$1"; }
printf '#!%s -e -x y\n' "$top/bin/echo" | make e1; show ./e1 arg | sed "s|$top||g"
printf '#! \t %s\t two  words \t\n' "$top/bin/echo" | make e2; show ./e2 "a b" '' | sed "s|$top||g"
printf '#!%s\necho "by dash $0 $# $*"\n' "$top/bin/dash" | make d1; show ./d1 1 2; show bin/../d1; (cd sub; show ../d1 3); PATH=$top show d1 4 | sed "s|$top||g"
printf '#!bin/dash\necho "relative interpreter $1"\n' | make rel; show ./rel x; (cd sub; show ../rel x 2> /dev/null)
printf '#!/usr/bin/env -S dash -e\necho "env -S $1"; false; echo not reached\n' | make es; show ./es x
printf '#!%s dash\necho "our env $1"\n' "$top/bin/env" | make oe; show ./oe x
printf '#!./d1 from\n' | make n1; show ./n1 x; printf '#!./n1\n' | make n2; show ./n2 y; for i in 2 3 4 5 6 7 8; do printf '#!./n%d\n' "$i" | make n$((i + 1)); done; show ./n4; show ./n5 2> /dev/null; show ./n9 2> /dev/null
printf '#!./loop\n' | make loop; show ./loop 2> /dev/null
printf '#!/bin/sh' | make nonl; show ./nonl; printf '#!/bin/sh\r\necho crlf\r\n' | make crlf; show ./crlf 2> /dev/null; printf '#!\necho empty line\n' | make bang; show ./bang; printf '#!   \n' | make blank; show ./blank 2> /dev/null
printf '#!/%0300d\n' 0 | make long; show ./long 2> /dev/null; printf '#!/bin/echo %0250d\n' 0 | make longarg; show ./longarg | wc -c
printf '#!%s\n' "$top/sub" | make dir; show ./dir 2> /dev/null; printf '#!%s/sub/none\n' "$top" | make none; show ./none 2> /dev/null; printf 'x' > notexec; printf '#!%s/notexec\n' "$top" | make ne; show ./ne 2> /dev/null
echo 'echo plain "$0" $#' | make plain; show ./plain a; : | make empty; show ./empty; printf '\0\1\2binary' | make bin/junk; show bin/junk 2> /dev/null
chmod 0111 d1; [ "$(id -u)" = 0 ] || show ./d1 2> /dev/null; chmod 755 d1; chmod 644 d1; show ./d1 2> /dev/null; chmod 755 d1; mv bin/dash bin/gone; show ./d1 2> /dev/null; mv bin/gone bin/dash
ln -s ../d1 sub/link; show sub/link x; (cd sub; show ./link y); ln -s "$top/d1" /tmp/link.$$; show /tmp/link.$$ z | sed 's/link.[0-9]*/link/'; rm /tmp/link.$$
printf '#!%s/bin/dash\necho "kernel script $1 $0"\n' "$top" > "${TMPDIR:=/tmp}/ks.$$"; chmod +x "$TMPDIR/ks.$$"; show "$TMPDIR/ks.$$" x | sed "s|/[^ ]*/ks.*|ks|"; rm "$TMPDIR/ks.$$"
cat > py <<'END'
#!/usr/bin/python3 -I
import os, sys
print(sys.argv[1:], os.path.basename(__file__), sorted(os.listdir("sub")), open(__file__).readline().strip())
END
chmod +x py; show ./py a; cp py sub/mod.py; show python3 -I sub/mod.py b; python3 -c 'import sys; sys.path.insert(0, "sub"); import mod' c
cat > pl <<'END'
#!/usr/bin/perl -w
use strict; use FindBin; print "perl $0 @ARGV\n"; open(my $f, "<", $0) or die; my @l = <$f>; print scalar(@l), "\n"; print "$FindBin::Script\n"; print <DATA>; exit 3;
__DATA__
data section
END
chmod +x pl; show ./pl a b; (cd sub; show ../pl); show perl pl c
printf '#!/usr/bin/awk -f\nBEGIN { print "awk", ARGC, ARGV[1] }\n' | make aw; show ./aw x; printf '#!/bin/sed -f\ns/a/b/\n' | make se; echo banana > in; show ./se in; printf '#!/usr/bin/make -f\nall:\n\t@echo made\n' | make mk; show ./mk
python3 -I - <<'END'
import os
def run(f):
    pid = os.fork()
    if pid == 0:
        try:
            f()
        except OSError as e:
            print("errno", e.errno, flush=True)
            os._exit(1)
    print("=", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
fd = os.open("d1", os.O_RDONLY); os.set_inheritable(fd, True)
run(lambda: os.execve(fd, ["x", "by fd"], {"PATH": "/bin"}))
os.set_inheritable(fd, False)
run(lambda: os.execve(fd, ["x", "by cloexec fd"], {}))
fd = os.open("bin/echo", os.O_RDONLY)
run(lambda: os.execve(fd, ["echo", "elf by fd"], {}))
run(lambda: os.execve("./d1", ["zero", "one"], {}))
run(lambda: os.execve("/bin/sh", ["sh", "-c", "./d1 env; cat in; echo x > out"], {}))
print(open("out").read())
run(lambda: os.execve("d1/", ["x"], {}))
run(lambda: os.execve("", ["x"], {}))
END
rm -rf bin sub/__pycache__ d1 dir e1 e2 ne none oe; echo done
