#!/usr/bin/zsh -f
# zsh: redirections with multios, directories, globs, substitutions, coproc, job control, traps, exec.
set -u
top=$PWD; say() { print -r -- "$*"; }; setopt nonomatch
mkdir -p a/b/c 'with space' x; : > a/1.txt; : > a/2.txt; : > a/b/3.txt; : > .hidden
cd a; pwd; cd b/c; pwd; cd ../..; pwd; cd -q -; cd $top; cd ./a/../a/b/./; pwd; cd ~+; pwd; cd $top; cdpath=($top/a); cd b > /dev/null; pwd; cdpath=(); cd $top
ln -s a/b link; cd link; pwd; pwd -P; cd ..; pwd; cd -P link; pwd; cd $top; cd nothere 2> /dev/null; say "cd $?"; cd a/1.txt 2> /dev/null; say "cd file $?"
setopt autopushd; cd a; cd b; dirs -p | wc -l; popd > /dev/null; pwd; popd > /dev/null; pwd; unsetopt autopushd; (cd a/b; pwd; /bin/pwd; ls); pwd; x=$(cd a; ls; /bin/pwd); say "$x"
say *; say a/*; say .[!.]*; say */; say a/?.txt; say a/[12].txt; say {a,x}/*; say **/*.txt; say nothing*; say **/*(/); say **/*(.:t); say *(@); say a/*(L0); setopt extendedglob; say a/^1*; say a/(#i)1.TXT; unsetopt extendedglob
mkdir gone; cd gone; rmdir ../gone; say "removed: $(/bin/pwd 2> /dev/null; echo $?)"; cd $top
say --- redirections; f() { say out; say err >&2; /bin/echo ext; /bin/sh -c 'echo exterr >&2'; }
f > o 2> e; cat o e; f &> oe; sort oe; f >& oe2; sort oe2; f 2>&1 > o | sort; f > o 2>&1; sort o; f 2> /dev/null >> o; wc -l < o; say twice > m1 > m2; cat m1 m2; cat < m1 < m2; say piped > m3 | tr a-z A-Z; cat m3
exec 3<> rw; say 123456789 >&3; say x >&3; exec 3>&-; cat rw; exec 3<> rw; read -r -k 4 -u 3 y; print -n XY >&3; exec 3>&-; say $y; cat rw
exec 4> four; exec 5>&4; say five >&5; exec 4>&-; say still >&5; exec 5>&-; cat four; exec 6< rw 7< <(echo from procsub); cat <&6; cat <&7; exec 6<&- 7<&-
exec {save}>&1 > log; say in the log; /bin/echo ext in the log; ls a; exec >&$save {save}>&-; cat log; while read -r l; do say "l=$l"; /bin/echo "e=$l"; done < log > loop; cat loop
(say sub; (say subsub; (say subsubsub) >> deep) >> deep; say again) > deep; cat deep; { say 1; { say 2 } >> br } > br; cat br; say "$(< log)"; say ${#${(f)"$(< log)"}}; for l in ${(f)"$(< log)"}; do say "[$l]"; done
cat <<A <<B
one
A
two
B
cat <<-"E" | tr a-z A-Z > heredoc
	here $doc
	E
cat heredoc; cat <<< "$(cat heredoc) again"; diff <(cat log) <(cat log; echo more); diff =(cat log) =(cat log) && say same; paste <(seq 3) <(seq 4 6) > pasted; cat pasted
tee >(tr a-z A-Z > upper) < log > lower; for i in {1..100}; do [ -s upper ] && break; sleep 0.05; done; cat upper lower; cat log | grep nothere | wc -l; say $pipestatus; cat log |& wc -l; yes | head -3 > y3; cat y3; > nullcmd < log; cat nullcmd; < log | wc -l
coproc { while read -r l; do say "<$l>"; done }; say hello >&p; read -r l <&p; say $l; exec 5>&p; exec 5>&-; kill %% 2> /dev/null; wait 2> /dev/null
say --- jobs; (sleep 0.1; say bg > bg) & wait $!; cat bg; sleep 30 & kill $!; wait $! 2> /dev/null; say "killed $?"; for i in 1 2 3; do (say "job $i" > job$i) & done; wait; cat job?; (exit 7) & wait $!; say $?; say forked > b1 &!
for i in {1..100}; do [ -s b1 ] && break; sleep 0.05; done; cat b1
say --- traps; (trap 'say exit > t_exit' EXIT; exit 4); say $?; cat t_exit; trap 'say usr1 > t_usr1' USR1; kill -USR1 $$; cat t_usr1; trap - USR1; TRAPUSR2() { say usr2 > t_usr2 }; kill -USR2 $$; cat t_usr2; f4() { trap 'say left >> t_left' EXIT; say in f4 }; f4; cat t_left; { say try; false } always { say always > t_al }; cat t_al
say --- exec; (exec > ex; say builtin; exec /bin/echo replaced); cat ex; (exec 3> ex3; exec /bin/sh -c 'echo to 3 >&3; exec echo again >&3'); cat ex3; (exec -a name /bin/sh -c 'echo $0'); (exec ./nothere) 2> /dev/null; say $?
print 'say "script $# $1"' > s.zsh; . ./s.zsh one two; say 'print "script $# $1"' > s2; zsh -f s2 three; zsh -f < s2; zsh -f -c '. ./s2 x'; zsh -f -s arg < s2; autoload_me() { fpath=($top $fpath); print 'print autoloaded $*' > auto; autoload -Uz auto; auto here }; autoload_me; zcompile s2 && zsh -f s2 compiled; ls *.zwc
print 'a b\nc d' > words; while read -r p q; do say "$q $p"; done < words; (zmodload zsh/mapfile zsh/stat zsh/files zsh/system; say "$mapfile[words]"; mapfile[words2]=made; cat words2; zstat +size words; mkdir -p zd/e; mv words2 zd; ln -s zd zl; chmod 700 zd; rm -r zd; sysopen -w -o creat -u 9 sysf; syswrite -o 9 sys; exec 9>&-; cat sysf; echo)
test -e words && test -s words && ! test -s .hidden && say tests; [[ words -nt log ]] && say newer; [[ words -ef ./words ]] && say same; [[ -d a && -h link ]] && say types; (ulimit -f 4; exec head -c 8192 /dev/zero > big) 2> /dev/null || say "limit $?"; wc -c < big; umask 077; : > private; stat -c %a private; umask 022
setopt noclobber; (say no > log) 2> /dev/null || say noclobber; say yes >| log; cat log; say more >> log; cat log; unsetopt noclobber; rehash; print '#!/usr/bin/zsh -f\nsay() { print $* }; say x $0:t' > cmd; chmod +x cmd; path=($top /usr/bin /bin); cmd; rm -f cmd; exec < log; read -r l; say $l; cat; exec < /dev/null; rm -f *.zwc; say done
