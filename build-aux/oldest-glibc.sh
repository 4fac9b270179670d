#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause-Patent
# oldest-glibc.sh LIMIT FILE: fails when the library needs a C library newer than glibc LIMIT.
# Says which version it needs; the newest ones it would only like to have (weak) do not count.
set -eu
limit=$1 file=$2
LC_ALL=C readelf -VW "$file" | sed -n 's/.*Name: GLIBC_\([0-9.]*\)  Flags: none.*/\1/p' | sort -V | tail -n 1 | {
	read -r newest
	echo "needs glibc $newest"
	[ "$(printf '%s\n' "$newest" "$limit" | sort -V | tail -n 1)" = "$limit" ]
}
