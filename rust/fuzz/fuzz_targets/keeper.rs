//! Feeds `keeper` of rust/vfs/tests/targets.
#![no_main]
#[path = "../../vfs/tests/targets/mod.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::keeper(data));
