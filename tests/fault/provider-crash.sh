#!/bin/sh
# Kills writers of the embedded provider's store at any point and checks all that is left.
# usage: provider-crash.sh [SECONDS]; prints "N passed, N failed".
set -eu
cd "$(dirname "$0")/../../rust"
PIL4DFS_CRASH_SECONDS=${1:-15} exec cargo test --quiet -p pil4dfs-embedded --test crash
