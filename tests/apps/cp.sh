#!/bin/bash
# cp in its usual forms: a tree with times, modes and links kept.
set -u
mkdir -p src/a/b && cd src || exit 1
for i in 1 2 3; do seq 1 $((i * 1000)) > a/f$i; done
head -c 3000000 /dev/zero | tr '\0' 'z' > a/b/big
ln -s ../f1 a/b/link
ln -s /dev/null a/null
chmod 640 a/f1; chmod 755 a/f2; chmod 600 a/f3; chmod 711 a/b
touch -d '2020-02-03 04:05:06.789' a/f1 a/b/big
touch -h -d '2019-01-01 00:00:00' a/b/link
touch -d '2018-01-01 00:00:00' a/b a
cd ..
cp -a src/a copy; echo "cp -a $?"
cp -r src/a plain; echo "cp -r $?"
cp -rL src/a/b followed; echo "cp -rL $?"
cp src/a/f1 one; echo "cp $?"
cp -p src/a/f2 two; echo "cp -p $?"
cp one two; echo "cp over $?"
cp -n src/a/f3 two; echo "cp -n $?"
cp -u src/a/f3 two; echo "cp -u $?"
cp --backup=numbered src/a/f3 two; echo "cp --backup $?"
cp one one 2>/dev/null; echo "cp onto itself $?"
cp nothere x 2>/dev/null; echo "cp missing $?"
cp src x 2>/dev/null; echo "cp directory without -r $?"
mkdir into && cp one two into/ && cp -t into src/a/f3; echo "cp into $?"
cp --reflink=auto src/a/b/big ref; echo "cp --reflink=auto $?"
cp --sparse=always src/a/b/big sparse; echo "cp --sparse $?"
cp /etc/passwd in; echo "cp in $?"; cmp /etc/passwd in
cp -a /dev/null copied-null 2>/dev/null; rm -f copied-null
cd copy && find . -printf '%y %m %p %l\n' | sort
stat -c '%y %n' f1 b/big b .
stat -c '%y %N' b/link
cd ..
diff -r src/a copy && echo same
cmp src/a/b/big sparse && echo sparse same
