#!/usr/bin/env bash
# ls -lR, cp -a, find, grep -r, sed -i, sort, dd, sha256sum on a small tree
set -eu
cd "$1"
mkdir -p src/deep/er
seq 1 2000 >src/numbers
printf 'alpha\nbeta\ngamma\n' >src/deep/greek
printf 'delta\n' >>src/deep/greek
ln -s ../numbers src/deep/link
dd if=/dev/zero of=src/deep/er/zeros bs=64k count=20 status=none
chmod 640 src/deep/greek
touch -d '2020-02-02 02:02:02' src/numbers
cp -a src copy
sed -i 's/beta/BETA/' copy/deep/greek
find . -type f | sort
grep -rn BETA . | sort
sort -rn copy/numbers | head -n 3
(cd copy && find . -type f -print0 | sort -z | xargs -0 sha256sum)
ls -lR --time-style=+ . | awk '/^[-l]/ {print $1, $5, $NF} /^d/ {print $1, $NF}'
diff -r src copy || true
stat -c '%n %Y %a' copy/numbers
stat -c '%n %a' copy/deep/greek
rm -r src
ls
