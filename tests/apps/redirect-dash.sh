#!/bin/dash
# Redirections in dash, which saves descriptors with F_DUPFD and forks with vfork.
set -u
echo builtin > a; cat a
/bin/echo external > b; cat b
echo more >> a; /bin/echo more >> b; cat a b
{ echo one; /bin/echo two; echo three; } > group; cat group
(echo one; /bin/echo two; (echo three; /bin/echo four)) > sub; cat sub
ls nothere 2> err || true; [ -s err ] && echo err
ls nothere a > both 2>&1; wc -l < both
exec 3> three; echo to three >&3; /bin/echo ext >&3; exec 3>&-; cat three
exec 4< group; read -r line <&4; echo "$line"; cat <&4; exec 4<&-
while read -r line; do echo "got $line"; done < group
while read -r line; do echo "$line"; cat; done < group
for i in 1 2 3; do echo $i; /bin/echo "ext $i"; done > loop; cat loop
cat > here <<END
here $((1 + 2))
END
cat here; cat <<'END' >> here
quoted $x
END
cat here
f() { echo fun; /bin/echo ext; }; f > fun; cat fun
cat a | cat > piped; cat piped; cat a b | sort | uniq -c
x=$(cat a); echo "$x"
(cd sub 2> /dev/null || echo not a directory); mkdir d; cd d; echo in d > f; /bin/cat f; cd ..; cat d/f; pwd | sed 's|.*/||'
: > empty; [ -s empty ] || echo empty
echo bg > bg & wait; cat bg
set -C; (echo x > a) 2> /dev/null || echo noclobber; set +C
umask 077; echo p > private; stat -c %a private
trap 'echo bye > bye' EXIT; (exit 4); echo $?
[ a -nt nothere ] && echo newer; [ -f a ] && [ -r a ] && [ ! -d a ] && echo tests
