#!/bin/bash
# Programs that start programs: xargs -P, parallel, find -exec, timeout, nohup, setsid, env -i, nice, time, flock.
set -u
mkdir in out; for i in 1 2 3 4 5 6 7 8 9 10; do printf 'line %d\nmore %d\n' "$i" "$i" > in/$i; done
ls in | sort -n | xargs -n 1 -P 4 -I{} sh -c 'tr a-z A-Z < in/{} > out/{}'; cat out/10; ls out | wc -l
find in -type f -print0 | xargs -0 -P 3 -n 3 wc -l | grep -v total | sort -k2 -V; find in -name '1*' -exec sh -c 'echo "$# files"; cat "$@" | wc -l' sh {} +; find out -name 1 -execdir cat {} \; ; find out -empty -delete; find in -name 9 -exec cp {} out/nine \; ; cat out/nine
printf '%s\n' a b c | xargs -P 3 -I% sh -c 'echo % >> xlog; /bin/echo ext-% >> xlog'; sort -o xlog xlog; cat xlog; xargs -a xlog -n 2 echo | wc -l; xargs -n 1 < xlog -I@ test -n @; echo $?; (cd in; ls | xargs -n 4 md5sum > ../sums); (cd in; md5sum -c ../sums | grep -c OK)
if command -v parallel > /dev/null; then export PARALLEL_HOME=$PWD/.par; mkdir -p .par; : > .par/will-cite; parallel -j 2 --will-cite 'cat {} > out/p{/}' ::: in/*; cat out/p3; parallel -k -j 3 --will-cite wc -c ::: in/1 in/2 | sed 's/ .*//'; rm -rf .par; else cp in/3 out/p3; for i in 1 2 4 5 6 7 8 9 10; do cp in/$i out/p$i; done; cat out/p3; wc -c < in/1; wc -c < in/2; fi
timeout 5 cat in/1; timeout 0.2 sleep 10; echo "timeout $?"; timeout 5 sh -c 'cat > out/t' < in/2; cat out/t; timeout -s KILL 0.2 sh -c 'echo begun > out/k; sleep 10'; echo "killed $?"; cat out/k
nohup sh -c 'echo out; echo err >&2; cat in/3' > out/nohup 2>&1 < /dev/null; grep -v nohup: out/nohup; (nohup cat in/4 > out/n4 2> /dev/null &); for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do [ -s out/n4 ] && break; sleep 0.1; done; cat out/n4
setsid -w sh -c 'cat in/5; pwd' > out/s5; sed "s|$PWD|DIR|" out/s5; setsid sh -c 'sleep 0.1; echo late > out/late; mv out/late out/late2' & wait $!; for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do [ -s out/late2 ] && break; sleep 0.1; done; cat out/late2
env -i cat in/6; env -i sh -c 'echo "$(cat in/6) $(/bin/pwd)" > out/e6'; sed "s|$PWD|DIR|" out/e6; env -i A=b /usr/bin/env | grep ^A; env -i /bin/sh -c 'cd in && /bin/ls | wc -l'; env -u PATH /bin/cat in/7; env - sh -c 'exec 3> out/f3; env - sh -c "echo through two >&3"'; cat out/f3; env --chdir=in cat 8
nice -n 5 cat in/8 > out/8; cat out/8; time -p true 2> out/time; (time cat in/9) 2> /dev/null; stdbuf -oL cat in/9 2> /dev/null; ionice -c 3 cat in/1; chrt -o 0 cat in/1; taskset 1 cat in/2 2> /dev/null || cat in/2; prlimit --nofile=64 cat in/2; prlimit --core=0 sh -c 'cat < in/3'
flock out/lock sh -c 'echo locked; cat in/1'; (flock 9; echo locked fd; cat in/2) 9> out/lock2; for i in 1 2 3 4; do flock out/lock3 sh -c 'n=$(cat out/n 2> /dev/null || echo 0); echo $((n + 1)) > out/n' & done; wait; cat out/n; flock -n out/lock true; echo $?; (exec 8> out/l8; flock 8; flock -n out/l8 true; echo "busy $?"; sh -c 'flock -n out/l8 true; echo "busy $?"')
script -qec 'cat in/1' /dev/null | tr -d '\r'; setarch "$(uname -m)" -R cat in/3; unshare -r cat in/3 2> /dev/null || cat in/3; run() { "$@"; }; run run cat in/4; command cat in/5; builtin echo builtin; \cat in/6; eval 'cat in/7'; exec 4< in/8; cat /dev/fd/4; cat <&4; exec 4<&-
yes | head -c 200000 > big; split -n 4 --filter='md5sum > out/$FILE' big part-; cat out/part-*; tar cf - in | (cd out; tar xf -); diff -r in out/in && echo same; tar czf t.gz in; tar xzOf t.gz in/1; tar cf t.tar --use-compress-program='gzip -1' in; tar tf t.tar --use-compress-program=gunzip | wc -l; rm t.gz t.tar; sort --parallel=2 -S 64k -T out big | uniq -c; sort -S 32k --compress-program=gzip -T . big | wc -l
awk '{ print | "sort -r > out/awk" } END { close("sort -r > out/awk"); while (("cat in/1" | getline l) > 0) print "got " l; system("cat in/2") }' in/3; cat out/awk; perl -e 'open(F, "|-", "cat > out/pl"); print F "piped\n"; close F; print `cat out/pl`; system("sh", "-c", "cat in/1 > out/pl2"); print -s "out/pl2", "\n"; if (!fork) { open(G, ">", "out/pl3"); print G "child"; exit 0 } wait; print -s "out/pl3", "\n"; exec "cat", "in/4"'
make -s -f - -j 3 <<'END'
all: out/m1 out/m2 out/m3
	@cat out/m?
out/m%: in/%
	@sleep 0.05; sh -c 'cat $< | tr a-z A-Z' > $@
END
sh -c 'kill -9 $$' ; echo "status $?"; sh -c 'echo x > out/dead; kill -9 $$'; cat out/dead; (sh -c 'while :; do echo x; done' & p=$!; sleep 0.2; kill -9 $p; wait $p 2> /dev/null) > out/spam; [ -s out/spam ] && echo spam; tail -c 2 out/spam; rm out/spam big out/e6 out/s5; echo done
