//! Feeds `mount_table` of rust/targets.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::parsers::mount_table(data));
