#!/bin/bash
# Scripts and programs stored in the directory itself.
set -u
cat > hello.sh <<'END'
#!/bin/sh
echo "hello $1 from ${0##*/}"
END
chmod +x hello.sh; ./hello.sh world; "$PWD/hello.sh" absolute | sed 's/x/x/'; sh hello.sh by sh; bash ./hello.sh by bash
. ./hello.sh sourced | sed 's/from.*//'
cat > py <<'END'
#!/usr/bin/python3 -I
import sys, os
print("python", os.path.basename(sys.argv[0]), sys.argv[1:])
END
chmod +x py; ./py a b; chmod -x py; ./py 2>/dev/null; echo "not executable $?"
printf '#!./hello.sh\n' > nested; chmod +x nested; ./nested | sed 's/hello .*from/hello from/'
printf '#!/nonexistent/interpreter\n' > bad; chmod +x bad; ./bad 2>/dev/null; echo "bad interpreter $?"
cp /bin/echo ./myecho; ./myecho copied echo; "$PWD"/myecho absolute
mkdir bin; cp /bin/cat bin/mycat; PATH=$PWD/bin:$PATH; mycat hello.sh | wc -l; type -P mycat | sed "s|$PWD|.|"
echo 'echo no shebang $#' > plain; chmod +x plain; ./plain 1 2
./nothere 2>/dev/null; echo "missing $?"; ./bin 2>/dev/null; echo "directory $?"
find . -name '*.sh' -exec {} found \;
printf '%s\n' ./*.sh | xargs -I{} sh -c '{} xargs'
env ./hello.sh env; nice ./hello.sh nice; timeout 5 ./hello.sh timeout
(exec ./hello.sh exec)
./hello.sh > out; cat out
