#!/bin/bash
# A repository: init, add, commit, branch, merge, log, stash, gc, fsck, clone.
set -u
export HOME=$PWD GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=A GIT_COMMITTER_EMAIL=a@b
export GIT_AUTHOR_DATE='2020-01-01T00:00:00Z' GIT_COMMITTER_DATE='2020-01-01T00:00:00Z' GIT_PAGER=cat
git config --global init.defaultBranch main; git config --global gc.auto 0; git config --global advice.detachedHead false
git init -q repo; echo "init $?"; cd repo || exit
mkdir -p src/deep; for i in $(seq 40); do echo "line $i" > src/f$i; done; echo x > src/deep/x; ln -s src/f1 link; printf '#!/bin/sh\n' > run; chmod +x run
git add . && git commit -q -m first; echo "commit $?"; git log --oneline; git status --short
echo change >> src/f1; git mv src/f2 src/moved; git rm -q src/f3; git status --short; git diff | head -8; git commit -q -am second; git log --oneline --stat | tail -5
git checkout -q -b side HEAD~1; echo side > side; git add side; git commit -q -m side; git checkout -q main; git merge -q --no-edit side; echo "merge $?"; git log --oneline | wc -l
echo stash > src/f1; git stash -q; git status --short; git stash pop -q; git status --short; git checkout -q -- src/f1
git tag v1; git tag -a -m annotated v2; git describe --tags
git checkout -q HEAD~1; ls src | wc -l; git checkout -q main; ls src | wc -l
git gc -q; echo "gc $?"; git fsck --strict 2>/dev/null; echo "fsck $?"; git count-objects | cut -d, -f1
cd ..; git clone -q repo clone; echo "clone $?"; cd clone; git log --oneline | head -2; git fsck 2>/dev/null; echo "fsck $?"
echo c > c; git add c; git commit -q -m c; git push -q origin HEAD:refs/heads/pushed; echo "push $?"; cd ../repo; git branch | sort; git rebase -q pushed; echo "rebase $?"; git log --oneline | head -1
git worktree add -q ../wt pushed; echo "worktree $?"; ls ../wt | sort; git worktree remove ../wt; git archive HEAD | tar -tf - | sort | tail -3; git grep -n 'line 7$'; git blame -s src/f7; git bisect start -q 2>/dev/null; git bisect reset -q 2>/dev/null
git clean -fdxq; git reset -q --hard HEAD; git rev-parse HEAD; git ls-files | wc -l; git bundle create -q ../b.bundle --all 2>/dev/null; echo "bundle $?"; git bundle verify -q ../b.bundle > /dev/null 2>&1; echo "verify $?"
cd ..; rm -rf repo clone b.bundle
