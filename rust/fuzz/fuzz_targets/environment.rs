//! Feeds `environment` of rust/targets.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::environment::environment(data));
