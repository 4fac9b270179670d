#!/bin/bash
# Two ranks of a small metadata benchmark, the numbers of which must add up.
set -u
prog=${PIL4DFS_TEST_MDBENCH:-}
mpirun=$(command -v mpirun.mpich || command -v mpirun)
[ -n "$prog" ] && [ -n "$mpirun" ] || { echo skip; exit 77; }
run() { "$mpirun" "$@" 2>mpirun.err; status=$?; [ $status = 0 ] || cat mpirun.err; rm -f mpirun.err; return $status; }
if "$mpirun" --version 2>/dev/null | grep -q 'Open MPI'; then root=--allow-run-as-root; [ "$(id -u)" = 0 ] || root=; opts="$root --oversubscribe"; else opts=; fi
export OMPI_MCA_btl_vader_single_copy_mechanism=none HOME=/tmp UCX_LOG_LEVEL=fatal
# shellcheck disable=SC2086
run -np 2 $opts "$prog" "$PWD" 200; echo $?
find . | sort | head
