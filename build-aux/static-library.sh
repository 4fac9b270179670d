#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause-Patent
# static-library.sh CC OUT.a EXPORTS ENTRY.a CORE.a START.a
#
# libpil4dfs.a: the library as one relocatable object whose only global symbols are the exported ones
# (EXPORTS, a name on each line), so that a program's own Rust, or another copy of the unwinder, does not
# meet ours; and the object that starts it.
set -eu
cc=$1 out=$2 exports=$3 entry=$4 core=$5 start=$6
work=$(mktemp -d "$out.XXXXXX")
trap 'rm -rf "$work"' EXIT
sed 's/@@.*//' "$exports" >"$work/names"
echo pil_begin >>"$work/names"
# What the entry calls of Rust, and what that needs: the rest of Rust's library stays out.
nm -g --defined-only "$entry" | sed -n 's/.* [A-Z] //p' | sort -u >"$work/entry"
roots=$({ grep '^pil4dfs_' "$work/names" && nm -u "$entry" | sed -n 's/^ *U \(pil_\)/\1/p'; } |
	sort -u | comm -23 - "$work/entry" | sed 's/^/-Wl,-u,/')
# shellcheck disable=SC2086
"$cc" -r -nostdlib -o "$work/core.o" $roots -Wl,--gc-sections "$core" -lgcc_eh -lgcc
"$cc" -r -nostdlib -o "$work/all.o" -Wl,--force-group-allocation "$work/core.o" -Wl,--whole-archive "$entry"
# Bitcode that Rust's library carries along is of no use here, and upsets an ar with LLVM's plugin.
objcopy -R .llvmbc -R .llvmcmd --keep-global-symbols="$work/names" "$work/all.o" "$work/pil4dfs.o"
rm -f "$out"
"$cc" -r -nostdlib -o "$work/start.o" -Wl,--whole-archive "$start"
ar rcD "$out" "$work/pil4dfs.o" "$work/start.o"
