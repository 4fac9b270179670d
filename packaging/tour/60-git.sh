#!/usr/bin/env bash
# git: init, add, commit, log, fsck
set -eu
cd "$1"
export HOME=$1 GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_DATE='2020-01-01T00:00:00Z' GIT_COMMITTER_DATE='2020-01-01T00:00:00Z'
git config --global user.name tour
git config --global user.email tour@localhost.invalid
git config --global init.defaultBranch main
git init -q repo
cd repo
for i in $(seq 1 30); do echo "file $i" >"f$i"; done
git add .
git commit -qm 'thirty files'
echo more >>f1
git commit -qam 'one change'
git log --format='%h %s'
git fsck --strict
git status --short
