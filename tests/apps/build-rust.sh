#!/bin/bash
# A small crate with a dependency by path and a build script, built, tested and run by cargo where it lies.
set -u
[ -z "${RUSTUP_HOME-}" ] && [ -d /root/.rustup ] && [ -r /root/.rustup ] && export RUSTUP_HOME=/root/.rustup
PATH=$PATH:/root/.cargo/bin; command -v cargo > /dev/null && cargo --version > /dev/null 2>&1 || exit 77
export CARGO_HOME=$PWD/home CARGO_NET_OFFLINE=true CARGO_TERM_COLOR=never TMPDIR=$PWD/tmp CARGO_BUILD_JOBS=2; mkdir tmp home; unset CARGO_TARGET_DIR
mkdir -p main/src dep/src; printf '[package]\nname = "dep"\nversion = "0.1.0"\nedition = "2021"\n' > dep/Cargo.toml; echo 'pub fn two() -> i32 { 2 }' > dep/src/lib.rs
printf '[package]\nname = "prog"\nversion = "0.1.0"\nedition = "2021"\n[dependencies]\ndep = { path = "../dep" }\n[profile.dev]\ndebug = 0\nincremental = false\n' > main/Cargo.toml
echo 'fn main() { let out = std::env::var("OUT_DIR").unwrap(); std::fs::write(out + "/made.rs", "pub const MADE: i32 = 40;").unwrap(); println!("cargo:rerun-if-changed=build.rs"); }' > main/build.rs
cat > main/src/main.rs <<'END'
include!(concat!(env!("OUT_DIR"), "/made.rs"));
fn main() { println!("{} {:?}", MADE + dep::two(), std::env::args().skip(1).collect::<Vec<_>>()); println!("{}", std::fs::read_to_string("Cargo.toml").unwrap().lines().count()); }
#[test]
fn adds() { assert_eq!(MADE + dep::two(), 42); std::fs::write(std::env::temp_dir().join("t"), "x").unwrap(); }
END
cd main; cargo build --offline -q; echo "build $?"; target/debug/prog a b; (cd ../dep; ../main/target/debug/prog) 2> /dev/null | head -1; cargo run --offline -q -- c; cargo test --offline -q 2> /dev/null | grep -c '^test result: ok'; cat ../tmp/t; echo
sed -i 's/2 }/3 }/' ../dep/src/lib.rs; touch -d '+2 seconds' ../dep/src/lib.rs; cargo build --offline -q; target/debug/prog; cargo build --offline 2>&1 | grep -c Finished; cargo clean -q 2> /dev/null; [ -e target ] || echo clean; cd ..; rm -rf home tmp main/target
