#!/bin/dash
# The POSIX shell: cd and CDPATH, globs, functions, subshells, background jobs, traps, exec.
set -u
top=$PWD
mkdir -p a/b/c x; : > a/1.txt; : > a/2.txt; : > a/b/3.txt
cd a; pwd; cd b/c; pwd; cd ../..; pwd; cd - > /dev/null; pwd; cd "$top"; CDPATH=$top/a; cd b > /dev/null; pwd; unset CDPATH; cd "$top"; ln -s a/b link; cd link; pwd; pwd -P; cd ..; pwd; cd -P link; pwd; cd "$top"
cd nothere 2> /dev/null || echo "cd failed"; (cd a/b; pwd; /bin/pwd; ls); pwd; x=$(cd a; ls; /bin/pwd); echo "$x"
echo *; echo a/*; echo */; echo a/?.txt; echo a/[!1]*; echo nothing*; for f in a/*.txt; do echo "<$f>"; done
f() { echo out; echo err >&2; /bin/echo ext; /bin/sh -c 'echo exterr >&2'; }
f > o 2> e; cat o e; f > oe 2>&1; sort oe; f 2>&1 > o | sort; f >> o 2> /dev/null; wc -l < o
exec 3<> rw; echo 123456789 >&3; echo x >&3; exec 3>&-; cat rw; exec 4> four 5>&4; echo five >&5; exec 4>&-; echo still >&5; exec 5>&-; cat four; exec 6< rw; cat <&6; exec 6<&-
exec 7>&1 > log; echo in the log; /bin/echo ext in the log; ls a; exec >&7 7>&-; cat log
while read -r l; do echo "l=$l"; /bin/echo "e=$l"; done < log > loop; cat loop; { echo 1; { echo 2; } >> br; } > br; cat br; (echo sub; (echo subsub) >> deep; echo again) > deep; cat deep
cat <<A | tr a-z A-Z > heredoc
here $((1 + 1))
A
cat heredoc; cat <<'A'
quoted $x
A
echo text | while read -r l; do echo "$l" > inpipe; done; cat inpipe; yes | head -3 > y3; cat y3; cat log | grep -c log
(sleep 0.1; echo bg > bg) & wait $!; cat bg; sleep 30 & kill $!; wait $! 2> /dev/null; echo "killed $?"; for i in 1 2 3; do (echo "job $i" > "job$i") & done; wait; cat job?; (exit 7) & wait $! || echo $?
(trap 'echo exit > t_exit' EXIT; exit 4) || echo $?; cat t_exit; trap 'echo usr1 > t_usr1' USR1; kill -USR1 $$; cat t_usr1; trap - USR1
(exec > ex; echo builtin; exec /bin/echo replaced); cat ex; (exec 3> ex3; exec /bin/sh -c 'echo to 3 >&3; exec echo again >&3'); cat ex3; (exec ./nothere) 2> /dev/null || echo $?
exec < log; read -r l; echo "$l"; cat; exec < /dev/null
echo 'echo "script $# ${1-}"' > s.sh; . ./s.sh; dash s.sh three; dash < s.sh; dash -s arg < s.sh; sh -c '. ./s.sh'; eval "$(cat s.sh)"
[ -e log ] && [ -s log ] && ! [ -x log ] && echo tests; [ log -nt a ] && echo newer; [ -d a ] && [ -h link ] && echo types
(ulimit -f 4; exec head -c 8192 /dev/zero > big) 2> /dev/null || echo "limit $?"; wc -c < big; umask 077; : > private; stat -c %a private
command -v cat; set -C; echo no 2> /dev/null > log || echo noclobber; echo yes >| log; cat log; set -- *; echo $#; echo done
