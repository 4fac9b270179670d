#!/bin/bash
# rm and rmdir.
set -u
mkdir -p t/a/b/c t/d; touch t/a/f t/a/b/g t/a/b/c/h
ln -s a t/link; ln -s nowhere t/dangling
rm t 2>/dev/null; echo "rm dir $?"
rm t/link; echo "rm link $?"; ls t
rmdir t/a 2>/dev/null; echo "rmdir full $?"
rmdir t/d; echo "rmdir $?"
rm -r t/a/b; echo "rm -r $?"; find t | sort
rm -f nothere; echo "rm -f missing $?"
rm nothere 2>/dev/null; echo "rm missing $?"
rm t/dangling; echo "rm dangling $?"
for i in $(seq 500); do echo $i > t/file$i; done
mkdir -p t/x/{1..20}/{1..5}; for d in t/x/*/*; do echo $d > $d/f; done
ls t | wc -l
rm t/file?; rm t/file1*; ls t | wc -l
rm -rv t | wc -l
ls
mkdir -p p/q/r && rmdir -p p/q/r; echo "rmdir -p $?"; ls
touch ./-dash; rm ./-dash; echo "dash $?"
mkdir ro && touch ro/f && chmod 555 ro
if [ "$(id -u)" = 0 ]; then echo "rm in read-only 1"; else rm -f ro/f 2>/dev/null; echo "rm in read-only $?"; fi
chmod 755 ro; rm -r ro; echo "rm -r $?"
