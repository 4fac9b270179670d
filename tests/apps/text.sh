#!/bin/bash
# Text tools reading and writing files in place and through pipes.
set -u
seq 1 10000 > n; seq 10000 -1 1 > r
sort -n r > s; cmp n s && echo sorted
sort -n -o r r; cmp n r && echo in place
sort -S 64k -T . -R n | sort -n -S 64k -T . | cmp - n && echo merged
grep -c 7 n; grep -r 999 . | sort; grep -l 10000 n r s; grep -q nothing n; echo $?
sed -i 's/^1$/one/' n; head -1 n
sed -i.bak '2s/.*/two/' n; head -2 n; head -2 n.bak
sed -n '5,7p' n; sed -i '10,$d' n; wc -l n
awk '{s += $1} END {print s}' r; awk '{print > ("part" $1 % 3)}' r; wc -l part0 part1 part2
head -c 10 r; tail -n 2 r; tail -c 6 r; tac r | head -1
cut -c1-2 r | uniq -c | sort -rn | head -2
paste part0 part1 | head -2; join <(sort part1) <(sort part1) | wc -l
split -l 4000 r piece.; ls piece.*; cat piece.* | cmp - r && echo whole
split -b 10k --numeric-suffixes r byte.; ls byte.* | wc -l
csplit -s r 100 200; wc -l xx*
comm -12 <(sort part0) <(sort r) | wc -l
tr 0-9 a-j < r > letters; head -2 letters; wc letters
diff n n.bak > /dev/null; echo "diff $?"
printf 'a\nb\n' > p1; printf 'a\nc\n' > p2; diff -u p1 p2 | tail -n +3; diff -u p1 p2 > fix.patch
command -v patch > /dev/null && { patch -s p1 fix.patch; echo "patch $?"; rm -f p1.orig; } || { cp p2 p1; echo "patch 0"; }
cmp p1 p2 && echo patched
rm fix.patch
tee t1 t2 < p1 | cat; cat t1 t2; echo more | tee -a t1 | cat; cat t1
od -c p1 | head -2; base64 p1 | base64 -d | cmp - p1 && echo base64
gzip -k r && gunzip -c r.gz | cmp - r && echo gzip; rm r.gz
nl p1; fold -w 3 r | head -2; expand p1 | wc -c; rev p1
shuf -n 3 r | wc -l; truncate -s 5 t2; wc -c t2; truncate -s +5 t2; wc -c t2; truncate -s '<3' t2; wc -c t2
