#!/bin/bash
# The shell itself: cd and CDPATH, globs, functions, subshells, coproc, job control, traps, exec.
set -u
top=$PWD; say() { printf '%s\n' "$*"; }
mkdir -p a/b/c 'with space' x; : > a/1.txt; : > a/2.txt; : > a/b/3.txt; : > .hidden
cd a; pwd; cd b/c; pwd; cd ../..; pwd; cd -; cd "$top" > /dev/null; cd ./a/../a/b/./; pwd; cd ~+; pwd
cd "$top"; CDPATH=$top/a; cd b > /dev/null; pwd; unset CDPATH; cd "$top"
ln -s a/b link; cd link; pwd; pwd -P; cd ..; pwd; cd -P link; pwd; cd "$top"; cd nothere 2> /dev/null; say "cd $?"; cd a/1.txt 2> /dev/null; say "cd file $?"
pushd a > /dev/null; pushd b > /dev/null; dirs -p | wc -l; popd > /dev/null; pwd; popd > /dev/null; pwd
(cd a/b; pwd; /bin/pwd; ls); pwd; x=$(cd a; ls; /bin/pwd); say "$x"; { cd a; pwd; }; cd ..; /bin/pwd
say *; say a/*; say .[!.]*; say */; say a/?.txt; say a/[12].txt; say {a,x}/*; shopt -s globstar nullglob dotglob; say **; say nothing*; say **/*.txt; shopt -u globstar nullglob dotglob; say nothing*
shopt -s extglob
say a/!(1*)
shopt -u extglob
mkdir gone; cd gone; rmdir ../gone; say "in a removed directory: $(/bin/pwd 2> /dev/null; echo $?)"; cd "$top"
say --- redirections; f() { say out; say err >&2; /bin/echo ext; /bin/sh -c 'echo exterr >&2'; }
f > o 2> e; cat o e; f &> oe; sort oe; f >& oe2; sort oe2; f 2>&1 > o | sort; f > o 2>&1; sort o; f 2> /dev/null >> o; wc -l < o
exec 3<> rw; say 123456789 >&3; say x >&3; exec 3>&-; cat rw; exec 3<> rw; read -r -N 4 -u 3 y; printf XY >&3; exec 3>&-; say "$y"; cat rw
exec 4> four; exec 5>&4; say five >&5; exec 4>&-; say still >&5; exec 5>&-; cat four
exec 6< rw 7< <(echo from procsub); cat <&6; cat <&7; exec 6<&- 7<&-; say moved > m; exec 8< m 9<&8-; read -r line <&9; say "$line"; exec 9<&-
save=; exec {save}>&1 > log; say in the log; /bin/echo ext in the log; ls a; exec >&"$save" {save}>&-; cat log
while read -r l; do say "l=$l"; /bin/echo "e=$l"; done < log > loop; cat loop; for i in 1 2 3; do say $i; done | tac > tacked; cat tacked
(say sub; (say subsub; (say subsubsub) >> deep) >> deep; say again) > deep; cat deep; { say 1; { say 2; } >> br; } > br; cat br
if read -r l; then say "if $l"; fi < log; case x in x) say case;; esac > c; cat c; until read -r l; do :; done < log; say "$l"
f2() { local v; read -r v; say "f2 $v"; } < log; f2; f2; select_in=$(< log); say "${#select_in}"; say "$(< c)"; say `cat c`
cat <<A <<B
not read
A
read
B
cat <<-"E" | tr a-z A-Z > heredoc
	here $doc
	E
cat heredoc; cat <<< "$(cat heredoc) again"; cat 0<<END 3<&0
fd 0
END
{ cat; } <<END
group
END
diff <(cat log) <(cat log; echo more); paste <(seq 3) <(seq 4 6) > pasted; cat pasted; tee >(tr a-z A-Z > upper) < log > lower; for i in {1..100}; do [ -s upper ] && break; sleep 0.05; done; cat upper lower
set -o pipefail; cat log | grep nothere | wc -l; say "${PIPESTATUS[@]}"; set +o pipefail; cat log |& wc -l; yes | head -3 > y3; cat y3; yes 2> /dev/null | head -1000 | (read -r l; cat > /dev/null; say "$l")
coproc tr a-z A-Z > coout; eval "exec {w}>&${COPROC[1]}-"; cat log >&"$w"; exec {w}>&-; wait $COPROC_PID 2> /dev/null; cat coout
coproc P { while read -r l; do say "<$l>"; done; }; say hello >&"${P[1]}"; read -r l <&"${P[0]}"; say "$l"; kill $P_PID 2> /dev/null; wait 2> /dev/null
say --- jobs; set -m; (sleep 0.1; say bg > bg) & wait %1; cat bg; sleep 30 & kill %%; wait $! 2> /dev/null; say "killed $?"
sleep 30 & p=$!; kill -STOP $p; for i in {1..100}; do s=$(ps -o state= -p $p); [ "$s" = T ] && break; sleep 0.02; done; say "$s"; bg > /dev/null 2>&1; kill $p; wait $p 2> /dev/null; say "$?"; set +m
for i in 1 2 3 4; do (say "job $i" > "job$i") & done; wait; cat job?; (say one; sleep 0.1; say two) > slow & say "waiting"; wait $!; cat slow; (exit 7) & wait $!; say $?; wait -n 2> /dev/null
say --- traps; (trap 'say exit > t_exit' EXIT; exit 4); say $?; cat t_exit; trap 'say usr1 > t_usr1' USR1; kill -USR1 $$; cat t_usr1; trap - USR1
(trap 'cat log > t_term; exit 9' TERM; kill -TERM $BASHPID; sleep 5); say $?; cat t_term; (set -e; trap 'say "err at" > t_err' ERR; false); say $?; cat t_err
trap 'say debug >> t_dbg' DEBUG; :; :; trap - DEBUG; wc -l < t_dbg
say --- exec; (exec > ex; say builtin; exec /bin/echo replaced); cat ex; (exec 3> ex3; exec /bin/sh -c 'echo to 3 >&3; exec echo again >&3'); cat ex3; (exec -a name /bin/sh -c 'echo $0'); (exec ./nothere) 2> /dev/null; say $?
exec < log; read -r l; say "$l"; read -r l; say "$l"; cat; exec < /dev/null
source /dev/stdin <<< 'say sourced'; say 'echo "script $# $1"' > s.sh; . ./s.sh one two; bash s.sh three; bash < s.sh; bash -c '. ./s.sh x' ; bash -s arg < s.sh; env bash -c '. ./s.sh y'
printf 'a b\nc d\n' > words; while read -r p q; do say "$q $p"; done < words; mapfile -t arr < words; say "${arr[1]}"; IFS= read -r -d '' all < words; say "${#all}"; readarray -t -s 1 arr < words; say "${arr[@]}"
test -e words && test -s words -a ! -s .hidden && say tests; [[ words -nt log ]] && say newer; [[ words -ef ./words ]] && say same; [ -w words ] && [ -r words ] && ! [ -x words ] && say rwx; [ -d a ] && [ -L link ] && say types; [ -t 1 ] || say no tty
(ulimit -f 4; exec head -c 8192 /dev/zero > big) 2> /dev/null || say "limit $?"; wc -c < big; umask 077; : > private; stat -c %a private; umask 022
type -t ls; hash -r; echo 'say x' > cmd; chmod +x cmd; PATH=$top; tp=$(type -p cmd); PATH=/usr/bin:/bin; say "${tp#"$top"}"; printf '%s\n' "${BASH_SOURCE[0]##*/}" | wc -l; history -w hist 2> /dev/null; say $?; say "done"
