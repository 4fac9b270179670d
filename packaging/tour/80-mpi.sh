#!/usr/bin/env bash
# mpirun -np 2: a small metadata benchmark, each rank in its own directory
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cd "$1"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
PATH=$PATH:/usr/lib64/mpich/bin
mpicc=$(command -v mpicc.mpich || command -v mpicc)
mpirun=$(command -v mpirun.mpich || command -v mpirun)
"$mpicc" -O1 -o "$work/mdbench" "$here/mdbench.c"
export UCX_LOG_LEVEL=fatal # it logs to stdout, with the time
"$mpirun" -np 2 "$work/mdbench" "$1" 200
