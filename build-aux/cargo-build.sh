#!/bin/sh
# cargo-build.sh CARGO MANIFEST TARGET_DIR PROFILE OUT_DIR DEPFILE [cargo arguments...]
#
# One cargo run for all that is built of Rust. Puts into OUT_DIR what Meson asked for:
# the library's core, the three commands, and embedded/, the provider under the names of
# DAOS's libraries.
set -eu
cargo=$1 manifest=$2 target=$3 profile=$4 out=$5 dep=$6
shift 6
# Its true name: cargo builds anew what it built under another.
target=$(readlink -m "$target")
"$cargo" build --locked --manifest-path "$manifest" --target-dir "$target" --profile "$profile" \
	-p pil4dfs-capi -p pil4dfs-cli -p pil4dfs-embedded -p pil4dfs-dfuse "$@"
dir=$target/$profile
[ "$profile" = dev ] && dir=$target/debug

# A file in use (a preloaded library, a running command) must not be written in place.
put() {
	cp -f "$1" "$2.new"
	mv -f "$2.new" "$2"
}
put "$dir/libpil4dfs_core.a" "$out/libpil4dfs_core.a"
put "$dir/pil4dfs" "$out/pil4dfs"
put "$dir/pil4dfs-embedded" "$out/pil4dfs-embedded"
put "$dir/pil4dfs-dfuse" "$out/pil4dfs-dfuse"
mkdir -p "$out/embedded"
put "$dir/libpil4dfs_embedded.so" "$out/embedded/libdaos.so.2"
for name in libdfs.so libduns.so libdaos_common.so libgurt.so.4; do
	ln -sf libdaos.so.2 "$out/embedded/$name"
done

# cargo writes "ARTIFACT: sources"; Meson wants its own first output there.
for name in libpil4dfs_core pil4dfs pil4dfs-embedded pil4dfs-dfuse libpil4dfs_embedded; do
	sed -n 's|^[^:]*:|libpil4dfs_core.a:|p' "$dir/$name.d"
done > "$dep"
