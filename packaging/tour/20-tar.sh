#!/usr/bin/env bash
# tar: pack, unpack, compare
set -eu
cd "$1"
mkdir -p tree/a/b
for i in $(seq 1 200); do echo "content $i" >"tree/a/b/file$i"; done
tar czf tree.tar.gz tree
mkdir out
tar xzf tree.tar.gz -C out
diff -r tree out/tree && echo identical
tar tzf tree.tar.gz | sort | tail -n 3
