#!/bin/bash
# rsync -a within the directory, into it and out of it.
set -u
command -v rsync > /dev/null || { echo skip; exit 77; }
mkdir -p src/a/b; for i in $(seq 20); do seq $i 1000 > src/a/f$i; done; ln -s f1 src/a/l; chmod 750 src/a/b; touch -d 2010-10-10 src/a/f3 src/a/b
rsync -a src/ dst; echo $?; diff -r src dst && echo same; stat -c '%Y %a %n' dst/a/f3 dst/a/b
echo change >> src/a/f5; touch -r dst/a/f5 src/a/f5; rm src/a/f6; rsync -aiO --delete src/ dst | sort; diff -r src dst && echo same
seq 5 2000 > src/a/f5; rsync -a --inplace --no-whole-file src/ dst; echo $?; diff -r src dst && echo same
rsync -a --append-verify src/ dst; echo $?; out=$(mktemp -d); rsync -a src/ "$out"; diff -r src "$out" && echo out; rsync -a "$out"/ back; diff -r src back && echo back; rm -r "$out"
rsync -a --link-dest=../dst src/ third 2>/dev/null; echo $?; diff -r src third && echo third; rsync -an --itemize-changes src/ dst | wc -l
