#!/bin/bash
# mv: files, directories, over others, between file systems.
set -u
mkdir d e
seq 1 5 > f; seq 1 9 > g
mv f h; echo "mv $?"
mv g h; echo "mv over $?"; cat h
mv -n h d; echo "mv into $?"; ls d
seq 1 3 > x; mv -n x d/h; echo "mv -n $?"; cat d/h
mv -v d/h e/i | sed "s/'//g"
mv d e; find . | sort
mv e e/d 2>/dev/null; echo "mv into itself $?"
mv nothere x 2>/dev/null; echo "mv missing $?"
mv x e/ && mv e/x "name with space" && mv "name with space" $'tab\tname'; echo "names $?"
mv -b $'tab\tname' e/i; echo "mv -b $?"
other=$(mktemp -d); echo outside > "$other/o"; mkdir -p "$other/t/u"; echo deep > "$other/t/u/v"
mv "$other/o" o; echo "mv in $?"; cat o
mv "$other/t" .; echo "mv tree in $?"; cat t/u/v
mv t "$other/back"; echo "mv tree out $?"; cat "$other/back/u/v"
mv o "$other/o2"; echo "mv out $?"; cat "$other/o2"
rm -r "$other"
mkdir full && touch full/x && mkdir new && mv -T new full 2>/dev/null; echo "mv -T onto full $?"
mkdir empty && mv -T new empty; echo "mv -T onto empty $?"
touch a b; mv --exchange a b 2>/dev/null || true
find . | sort
