#!/bin/bash
# Every form of redirection, with builtins and with external commands.
set -u
echo builtin > a; cat a
/bin/echo external > b; cat b
echo more >> a; /bin/echo more >> b; cat a b
cat < a > c; cat c
{ echo one; /bin/echo two; echo three; /bin/sh -c 'echo four'; } > group; cat group
(echo one; /bin/echo two) > sub; (echo three; /bin/echo four) >> sub; cat sub
ls nothere 2> err; [ -s err ] && echo err
ls nothere a > both 2>&1; wc -l < both; ls nothere a &> both2; wc -l < both2; ls nothere a &>> both2; wc -l < both2
echo noclobber > nc; set -C; echo x 2>/dev/null > nc; echo "noclobber $?"; echo y >| nc; set +C; cat nc
exec 3> three; echo to three >&3; /bin/echo ext to three >&3; echo again >&3; exec 3>&-; cat three
exec 4< a; read -r line <&4; echo "$line"; read -r line <&4; echo "$line"; exec 4<&-
exec 5<> rw; echo hello >&5; echo world >&5; exec 5>&-; cat rw
exec 6> six 7>&6; echo via 7 >&7; echo via 6 >&6; exec 6>&- ; echo still 7 >&7; exec 7>&-; cat six
exec 200> lock; echo $? ; exec 200>&-
exec {any}> named; echo "named" >&"$any"; exec {any}>&-; cat named
while read -r line; do echo "got $line"; done < group
while read -r line; do echo "$line"; head -1; done < group
for i in 1 2 3; do echo $i; /bin/echo "ext $i"; done > loop; cat loop
if true; then echo in if; fi > ift; cat ift
f() { echo in function; /bin/echo external; } ; f > fun; cat fun
cat <<END > here
here $((1 + 1))
END
cat here; cat <<'END' >> here
quoted $HOME
END
cat here; cat <<-END
	tabs
	END
cat <<< "string" > hs; cat hs; wc -c <<< "$(cat a)"
diff <(sort a) <(sort b) > /dev/null; echo "procsub $?"
cat a | tee >(sort > sorted) > /dev/null; until [ -s sorted ]; do sleep 0.05; done; cat sorted
cat a b | sort | uniq -c > pipe; cat pipe
seq 100000 | head -2 > headed; cat headed
echo gone > x; rm x; [ -e x ] || echo removed
x=$(< a); echo "$x"; x=$(cat a; /bin/echo sub); echo "$x"
echo 1 > ap & echo 2 > aq & wait; cat ap aq
/bin/sh -c 'echo a; exec /bin/echo b' > ex; cat ex
: > empty; [ -s empty ] || echo empty; > empty2; ls -1 empty2
echo text > "name with space"; cat < "name with space"
trap 'echo trap > trapped' EXIT; (exit 3); echo $?; (trap 'echo inner > inner' EXIT; exit 0); cat inner
mapfile -t lines < group; echo ${#lines[@]}; read -r -d '' all < group; echo "${#all}"; readarray -n 2 two < group; echo "${#two[@]}"
printf '%s\n' {1..1000} > many; wc -l < many; tail -1 many
(c() { head -c 10; }; c < many; c) < group
{ head -c 4 > /dev/null; cat; } < group
exec 8< group; head -1 <&8 > /dev/null; exec 8<&-
cat /dev/fd/9 9< a; cat /proc/self/fd/9 9< a; cat /dev/stdin < b
echo done
