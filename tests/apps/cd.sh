#!/bin/bash
# The working directory: cd, pwd, "..", links, removed directories, children.
set -u
top=$PWD
short() { sed "s|$top|TOP|"; }
mkdir -p a/b/c; ln -s a/b l; echo x > a/f
cd a; pwd | short; /bin/pwd | short; cat f; cd b/c; pwd | short; cd ..; pwd | short; cd ../..; pwd | short
cd l; pwd | short; pwd -P | short; /bin/pwd | short; /bin/pwd -L | short; ls; cd ..; pwd | short
cd -P l; pwd | short; cd ..; pwd | short; cd "$top" || exit
cd nothere 2>/dev/null; echo $?; cd a/f 2>/dev/null; echo $?
(cd a && sh -c 'pwd; cat f' | short); pwd | short
cd a/b/c && python3 -c 'import os; print(os.getcwd())' | short; perl -MCwd -e 'print getcwd, "\n"' | short
echo rel > rel; cat ../c/rel; mv rel ../up; cat ../up; cd "$top" || exit
pushd a > /dev/null; pwd | short; popd > /dev/null; pwd | short
mkdir gone; cd gone; rmdir ../gone; ls; /bin/pwd 2>/dev/null; echo $?; touch x 2>/dev/null; echo $?; cd "$top" || exit
find . | sort; cd / ; ls -d "$top/a" | short; cd "$top/a/.." && pwd | short; cd ./././a//b; pwd | short
env -C "$top/a" cat f; cd "$top/a"; tar -cf - f | tar -tf -; cd "$top"; bash -c 'cd a && bash -c "cd b && bash -c pwd"' | short
CDPATH=$top/a; cd b > /dev/null; pwd | short
