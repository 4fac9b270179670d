#!/bin/bash
# tar: create, list, extract with modes and times, append, pipe.
set -u
mkdir -p src/d/e; seq 1 2000 > src/f; head -c 100000 /dev/zero > src/d/zeros; ln -s ../f src/d/l
printf 'x' > src/d/e/x; chmod 751 src/d; chmod 600 src/f
touch -d '2001-02-03 04:05:06' src/f src/d/zeros src/d/e/x
touch -h -d '2001-02-03 04:05:06' src/d/l
touch -d '2001-02-03 04:05:06' src/d/e src/d src
tar --sort=name --owner=0 --group=0 --numeric-owner -cf all.tar src; echo "c $?"
sha256sum all.tar
tar -tvf all.tar
mkdir out && tar -xpf all.tar -C out; echo "x $?"
(cd out/src && find . -printf '%y %m %p %l\n' | sort; stat -c '%Y %n' f d/zeros d/e/x d/e d .)
diff -r src out/src && echo same
tar -czf all.tgz src; echo "cz $?"; tar -tzf all.tgz | sort
mkdir piped && tar -cf - src | tar -xf - -C piped; echo "pipe $?"; diff -r src piped/src && echo same
echo more > more; tar -rf all.tar more; echo "r $?"; tar -tf all.tar | tail -1
tar -xOf all.tar more
tar --delete -f all.tar more; echo "delete $?"; tar -tf all.tar | wc -l
tar -df all.tar; echo "d $?"
tar -xf all.tar --overwrite; echo "x over $?"
tar -xf all.tar -C out --keep-newer-files 2>/dev/null; echo "x newer $?"
rm all.tgz
